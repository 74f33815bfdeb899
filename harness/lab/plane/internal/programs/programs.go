// Package programs decides what a container runs: a table maps an image's name to a program on this machine.
package programs

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// Words which stand in the table in place of a program's path.
const (
	// OnHost runs the container's own command from the machine's file system.
	OnHost = "@host"
	// StandIn answers on the container's ports inside the runtime; no process is started.
	StandIn = "@stand-in"
)

// Table maps an image's name, without tag and digest, to the start of an argument vector.
type Table map[string][]string

// Choice is what a container runs.
type Choice struct {
	// Argv is the argument vector; empty means the stand-in.
	Argv []string
	// Known tells whether the table has the image; an unknown image is a stand-in.
	Known bool
}

// IsStandIn tells whether no program is run at all.
func (c Choice) IsStandIn() bool { return len(c.Argv) == 0 }

// Read reads programs.json.
func Read(file string) (Table, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("programs table: %w", err)
	}
	table := Table{}
	if err := json.Unmarshal(content, &table); err != nil {
		return nil, fmt.Errorf("programs table %s: %w", file, err)
	}
	for image, argv := range table {
		if len(argv) == 0 {
			return nil, fmt.Errorf("programs table %s: %s has no program", file, image)
		}
		first := argv[0]
		if first != OnHost && first != StandIn && !path.IsAbs(first) {
			return nil, fmt.Errorf("programs table %s: %s: %q is neither an absolute path nor %s nor %s", file, image, first, OnHost, StandIn)
		}
	}
	return table, nil
}

// Name is an image reference without tag and digest: "ghcr.io/a/b:1@sha256:.." gives "ghcr.io/a/b". A port in
// the registry's name is no tag.
func Name(reference string) string {
	reference, _, _ = strings.Cut(reference, "@")
	slash := strings.LastIndex(reference, "/")
	if colon := strings.LastIndex(reference, ":"); colon > slash {
		reference = reference[:colon]
	}
	return reference
}

// Resolve chooses the program for an image: the table's entry for the full name, then for its last path element.
//
// A program takes the container's arguments. A container which sets a command gets the program only if the
// command's base name is the program's; any other command is run from the machine's file system, as it would be
// from the image's. The error says what is missing.
func (t Table) Resolve(image string, command, args []string) (Choice, error) {
	name := Name(image)
	prefix, known := t[name]
	if !known {
		prefix, known = t[path.Base(name)]
	}
	if !known || prefix[0] == StandIn {
		return Choice{Known: known}, nil
	}
	own := slices.Concat(command, args)
	if prefix[0] == OnHost {
		if len(own) == 0 {
			return Choice{}, fmt.Errorf("image %s runs the container's own command on this machine, and the container sets neither command nor args", image)
		}
		return Choice{Argv: own, Known: true}, nil
	}
	switch {
	case len(command) == 0:
		return Choice{Argv: slices.Concat(prefix, args), Known: true}, nil
	case path.Base(command[0]) == path.Base(prefix[0]):
		return Choice{Argv: slices.Concat(prefix, own[1:]), Known: true}, nil
	default:
		return Choice{Argv: own, Known: true}, nil
	}
}
