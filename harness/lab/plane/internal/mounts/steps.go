package mounts

import (
	"path"
	"slices"
)

// Verb is one kind of step.
type Verb int

// The steps of a plan, to be taken in order, each at Step.Path below the new root.
const (
	// MakeDir and MakeFile make an empty mount point (an existing one is left alone).
	MakeDir Verb = iota
	MakeFile
	// MakeLink makes a symbolic link to Step.Source.
	MakeLink
	// BindHost binds Step.Source of the machine, with everything mounted below it.
	BindHost
	// BindLayer binds a fresh, empty directory of the writable layer.
	BindLayer
	// MountTmpfs mounts a memory file system, MountProc the process table of the container.
	MountTmpfs
	MountProc
)

// Step is one step of a plan.
type Step struct {
	Verb   Verb
	Path   string
	Source string
	// Mode is the permission of MakeDir and BindLayer; 0 means 0755.
	Mode     uint32
	ReadOnly bool
	// Optional steps bind what the machine happens to have; one which fails is left out.
	Optional bool
}

// steps lists what builds an entry, parents first.
func steps(at string, e *entry, parent *entry) []Step {
	var list []Step
	add := func(step Step) {
		step.Path = at
		list = append(list, step)
	}
	made := parent == nil || e.implied || (parent.what == host && (parent.readOnly || e.mask))
	switch {
	case parent == nil || e.implied:
	case e.what == layer && parent.what == host && (parent.readOnly || e.mask):
		add(Step{Verb: BindLayer, Mode: e.mode})
	case e.what == layer:
		add(Step{Verb: MakeDir, Mode: e.mode})
	case e.what == link:
		add(Step{Verb: MakeLink, Source: e.source})
	case e.what == single:
		if !made {
			add(Step{Verb: MakeFile, Optional: e.optional})
		}
		add(Step{Verb: BindHost, Source: e.source, ReadOnly: e.readOnly, Optional: e.optional})
	default:
		if !made {
			add(Step{Verb: MakeDir, Mode: e.mode})
		}
		switch e.what {
		case tmpfs:
			add(Step{Verb: MountTmpfs, Mode: e.mode})
		case proc:
			add(Step{Verb: MountProc})
		default:
			add(Step{Verb: BindHost, Source: e.source, ReadOnly: e.readOnly, Optional: e.optional})
		}
	}
	for _, name := range sortedNames(e.children) {
		list = append(list, steps(path.Join(at, name), e.children[name], e)...)
	}
	return list
}

func sortedNames(children map[string]*entry) []string {
	names := make([]string, 0, len(children))
	for name := range children {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
