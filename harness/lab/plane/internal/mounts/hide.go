package mounts

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Hidden says what of the machine no container sees, and no volume shows: the lab's own keys and data, and what lies
// in a home directory under a name that begins with a dot, which is where credentials are kept. Every path is
// absolute. An empty directory (or an empty file) stands in the place of what is hidden; a container cannot take it
// away, because it has not the right to unmount (package shim).
type Hidden struct {
	// Paths are hidden with everything below.
	Paths []string `json:"paths"`
	// Homes are home directories.
	Homes []string `json:"homes"`
	// Kept stay visible in home directories: programs and their libraries.
	Kept []string `json:"kept"`
	// Own lie below Paths and may be mounted all the same: the pod's own volumes.
	Own []string `json:"own"`
}

// secrets is a Hidden looked up on the machine: every path exists and holds no symbolic link.
type secrets struct {
	view   View
	hidden []string
	kept   []string
	own    []string
}

func lookUp(view View, wanted Hidden) *secrets {
	s := &secrets{view: view}
	s.own = s.resolved(wanted.Own)
	s.kept = s.resolved(wanted.Kept)
	s.hidden = s.resolved(wanted.Paths)
	for _, home := range s.resolved(wanted.Homes) {
		if home == "/" {
			continue
		}
		for _, name := range view.Children(home) {
			if strings.HasPrefix(name, ".") {
				s.hideEntry(home, name)
			}
		}
	}
	slices.Sort(s.hidden)
	s.hidden = slices.Compact(s.hidden)
	return s
}

// hideEntry hides one name in a home directory. A link is hidden through its target, and only if that is in the home
// too: others point to what is the machine's.
func (s *secrets) hideEntry(home, name string) {
	entry := resolve(s.view, path.Join(home, name))
	if entry == "" || entry == home || !within(entry, home) || slices.Contains(s.kept, entry) {
		return
	}
	s.hidden = append(s.hidden, entry)
}

func (s *secrets) resolved(paths []string) []string {
	var list []string
	for _, name := range paths {
		if real := resolve(s.view, name); real != "" && !slices.Contains(list, real) {
			list = append(list, real)
		}
	}
	return list
}

// forbids tells whether a resolved path may not be mounted.
func (s *secrets) forbids(source string) bool {
	in := func(list []string) bool {
		return slices.ContainsFunc(list, func(top string) bool { return within(source, top) })
	}
	return in(s.hidden) && !in(s.own) && !s.isKept(source)
}

// isKept tells whether a path lies below one that is kept, and below no hidden one inside that.
func (s *secrets) isKept(name string) bool {
	return longest(s.kept, name) > longest(s.hidden, name)
}

// longest is the length of the longest of the directories that a path lies in; -1 if it lies in none.
func longest(list []string, name string) int {
	found := -1
	for _, top := range list {
		if within(name, top) {
			found = max(found, len(top))
		}
	}
	return found
}

// within tells whether a clean path is a directory or lies below it.
func within(name, directory string) bool {
	return name == directory || directory == "/" || strings.HasPrefix(name, directory+"/")
}

// coverSecrets hides what the container would see of the secrets where the machine's directory source is shown at target,
// and shows again what is kept inside. What is hidden by then through a directory above is left alone.
func (p *planner) coverSecrets(s *secrets, source, target string) error {
	for _, hidden := range s.hidden {
		if !within(hidden, source) || longest(s.hidden, path.Dir(hidden)) >= 0 && !s.isKept(path.Dir(hidden)) {
			continue
		}
		at := path.Join(target, strings.TrimPrefix(hidden, source))
		if !p.shows(at) {
			continue
		}
		empty := &entry{what: layer, mask: true, children: map[string]*entry{}}
		if p.view.Kind(hidden) != Dir {
			empty = &entry{what: single, source: "/dev/null", readOnly: true, mask: true}
		}
		if err := p.insert(at, empty); err != nil {
			return fmt.Errorf("hide %s: %w", at, err)
		}
		for _, kept := range s.kept {
			if empty.what != layer || !within(kept, hidden) || kept == hidden {
				continue
			}
			if err := p.insert(path.Join(at, strings.TrimPrefix(kept, hidden)), p.bind(kept, true)); err != nil {
				return fmt.Errorf("show %s: %w", kept, err)
			}
		}
	}
	return nil
}

// shows tells whether a path of the container is there and is the machine's.
func (p *planner) shows(at string) bool {
	current := p.root
	for _, name := range strings.Split(strings.TrimPrefix(at, "/"), "/") {
		if current.children == nil {
			return false
		}
		if current = p.lookup(current, name); current == nil || current.what == link {
			return false
		}
	}
	return true
}

// resolve follows every symbolic link of a path; empty if it does not exist.
func resolve(view View, name string) string {
	rest := strings.Split(strings.TrimPrefix(path.Clean(name), "/"), "/")
	at, links := "/", 0
	for len(rest) > 0 {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		switch view.Kind(next) {
		case None:
			return ""
		case Link:
			if links++; links > maxLinks {
				return ""
			}
			target := view.Readlink(next)
			if !path.IsAbs(target) {
				target = path.Join(at, target)
			}
			rest = append(strings.Split(strings.TrimPrefix(path.Clean(target), "/"), "/"), rest...)
			at = "/"
		default:
			at = next
		}
	}
	return at
}
