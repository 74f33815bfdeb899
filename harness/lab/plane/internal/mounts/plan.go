// Package mounts gives a container a file system: the machine's own, read-only, below a root directory of the
// container's own which it may write, with volumes mounted where it wants them.
//
// The machine itself is never written to: a mount point which the machine does not have is made in the container's
// writable layer, by covering the deepest directory that exists with one of the layer which binds that directory's
// entries again.
package mounts

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Kind is what a path is.
type Kind int

// The kinds which the plan tells apart. Sockets, pipes and devices are files.
const (
	None Kind = iota
	Dir
	File
	Link
)

// View is how the plan looks at the machine. Paths are absolute.
type View interface {
	// Kind does not follow a symbolic link in the last element.
	Kind(path string) Kind
	Readlink(path string) string
	// Children is the names in a directory; none if it cannot be read.
	Children(path string) []string
}

// Mount is one bind mount of a volume (or a single file) into the container.
type Mount struct {
	// Source is a path on the machine, Target one in the container. Both are absolute.
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"readOnly"`
}

// devices are the device files which a container gets, as container engines give them.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty", "ptmx"}

// maxLinks bounds symbolic links in one path, as the kernel does.
const maxLinks = 40

const sticky = 0o1777

// private are the directories of the machine's root which a container gets empty, instead of the machine's.
var private = []string{"tmp", "run", "dev", "proc"}

// entry is one path in the container's file system, as the plan sees it.
type entry struct {
	what     what
	source   string
	mode     uint32
	readOnly bool
	// implied entries are visible already through the directory which is bound above them.
	implied  bool
	optional bool
	// ifMissing entries give way to what is there.
	ifMissing bool
	// mask entries stand over what is there already, in a volume too: no mount point is made for them.
	mask     bool
	children map[string]*entry
}

type what int

const (
	layer  what = iota // a directory of the writable layer
	host               // a directory of the machine
	single             // a file of the machine
	link
	tmpfs
	proc
)

func (e *entry) isDir() bool { return e.what != single && e.what != link }

type planner struct {
	view View
	root *entry
}

// Plan lists the steps which build the container's file system. Expose names paths which must stay visible although
// they lie in a directory that the container gets empty (the program, for a checkout below /tmp). The working
// directory is made if the machine has none of that name; empty means the root. What is hidden shows nowhere. The
// error names the mount that cannot be made.
func Plan(view View, mounts []Mount, expose []string, workingDir string, hidden Hidden) ([]Step, error) {
	secrets := lookUp(view, hidden)
	p := &planner{view: view, root: &entry{what: layer, children: map[string]*entry{}}}
	p.base()
	for _, visible := range expose {
		if top := hiddenTop(visible); top != "" {
			if err := p.insert(top, p.bind(top, true)); err != nil {
				return nil, err
			}
		}
	}
	if err := p.coverSecrets(secrets, "/", "/"); err != nil {
		return nil, err
	}
	ordered := slices.Clone(mounts)
	slices.SortStableFunc(ordered, func(a, b Mount) int {
		return strings.Count(path.Clean(a.Target), "/") - strings.Count(path.Clean(b.Target), "/")
	})
	for _, mount := range ordered {
		source := resolve(view, mount.Source)
		if source == "" {
			return nil, fmt.Errorf("mount %s: its source %s does not exist", mount.Target, mount.Source)
		}
		if secrets.forbids(source) {
			return nil, fmt.Errorf("mount %s: %s is hidden from pods: it belongs to the lab itself, or holds a user's settings and credentials", mount.Target, mount.Source)
		}
		if err := p.insert(mount.Target, p.bind(source, mount.ReadOnly)); err != nil {
			return nil, fmt.Errorf("mount %s: %w", mount.Target, err)
		}
		if err := p.coverSecrets(secrets, source, mount.Target); err != nil {
			return nil, fmt.Errorf("mount %s: %w", mount.Target, err)
		}
	}
	if path.Clean(workingDir) != "/" && workingDir != "" {
		wanted := &entry{what: layer, ifMissing: true, children: map[string]*entry{}}
		if err := p.insert(workingDir, wanted); err != nil {
			return nil, fmt.Errorf("working directory %s: %w", workingDir, err)
		}
	}
	return steps("/", p.root, nil), nil
}

// base is the file system before any volume is mounted.
func (p *planner) base() {
	for _, name := range p.view.Children("/") {
		if !slices.Contains(private, name) {
			p.root.children[name] = p.hostEntry("/" + name)
		}
	}
	dev := &entry{what: layer, children: map[string]*entry{}}
	for _, name := range devices {
		if p.view.Kind("/dev/"+name) == File {
			dev.children[name] = &entry{what: single, source: "/dev/" + name, optional: true}
		}
	}
	if p.view.Kind("/dev/pts") == Dir {
		dev.children["pts"] = &entry{what: host, source: "/dev/pts", optional: true, children: map[string]*entry{}}
	}
	dev.children["shm"] = &entry{what: tmpfs, mode: sticky, children: map[string]*entry{}}
	for name, target := range map[string]string{"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"} {
		dev.children[name] = &entry{what: link, source: "/proc/self/fd" + target}
	}
	p.root.children["dev"] = dev
	p.root.children["proc"] = &entry{what: proc}
	p.root.children["tmp"] = &entry{what: layer, mode: sticky, children: map[string]*entry{}}
	p.root.children["run"] = &entry{what: layer, children: map[string]*entry{}}
	if p.view.Kind("/var/tmp") == Dir {
		// An error here means /var is odd on this machine; the container then has no /var/tmp.
		_ = p.insert("/var/tmp", &entry{what: layer, mode: sticky, children: map[string]*entry{}})
	}
}

// hiddenTop is the entry of an emptied directory through which a path is reached: "/tmp/a" for "/tmp/a/bin/x".
// It is empty for a path that is visible anyway.
func hiddenTop(visible string) string {
	parts := strings.Split(strings.TrimPrefix(path.Clean(visible), "/"), "/")
	if len(parts) < 2 || !slices.Contains(private, parts[0]) || parts[0] == "dev" || parts[0] == "proc" {
		return ""
	}
	return "/" + parts[0] + "/" + parts[1]
}

// hostEntry is an entry of the machine, read-only.
func (p *planner) hostEntry(source string) *entry {
	if p.view.Kind(source) == Link {
		return &entry{what: link, source: p.view.Readlink(source)}
	}
	e := p.bind(source, true)
	e.optional = true
	return e
}

func (p *planner) bind(source string, readOnly bool) *entry {
	kind := p.view.Kind(source)
	for links := 0; kind == Link && links < maxLinks; links++ {
		target := p.view.Readlink(source)
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(source), target)
		}
		source, kind = target, p.view.Kind(target)
	}
	if kind == Dir {
		return &entry{what: host, source: source, readOnly: readOnly, children: map[string]*entry{}}
	}
	return &entry{what: single, source: source, readOnly: readOnly}
}

// insert puts an entry at a path of the container, following symbolic links as the container would see them.
func (p *planner) insert(target string, e *entry) error {
	if !path.IsAbs(target) || path.Clean(target) == "/" {
		return fmt.Errorf("%q is no mount point", target)
	}
	rest := strings.Split(strings.TrimPrefix(path.Clean(target), "/"), "/")
	current, at := p.root, "/"
	for links := 0; ; {
		name := rest[0]
		child := p.lookup(current, name)
		if child != nil && child.what == link {
			if links++; links > maxLinks {
				return fmt.Errorf("too many symbolic links in %s", target)
			}
			resolved := child.source
			if !path.IsAbs(resolved) {
				resolved = path.Join(at, resolved)
			}
			resolved = path.Clean(path.Join(append([]string{resolved}, rest[1:]...)...))
			if resolved == "/" {
				return fmt.Errorf("%s is a link to the root", target)
			}
			rest, current, at = strings.Split(strings.TrimPrefix(resolved, "/"), "/"), p.root, "/"
			continue
		}
		if len(rest) == 1 {
			return p.place(current, child, path.Join(at, name), name, e)
		}
		if child == nil {
			p.cover(current)
			child = &entry{what: layer, children: map[string]*entry{}}
			current.children[name] = child
		}
		if child.children == nil {
			return fmt.Errorf("%s is no directory", path.Join(at, name))
		}
		current, at, rest = child, path.Join(at, name), rest[1:]
	}
}

func (p *planner) place(parent, old *entry, at, name string, e *entry) error {
	if old != nil && old.isDir() != e.isDir() {
		return fmt.Errorf("%s is a directory in one place and a file in the other", at)
	}
	if old != nil && e.ifMissing {
		return nil
	}
	if old == nil {
		p.cover(parent)
	}
	// A mount point which the directory bound above does show already needs not be made.
	e.implied = false
	parent.children[name] = e
	return nil
}

// lookup finds a name in a directory; nil if it has none. What the machine's directories hold is looked up when it
// is asked for.
func (p *planner) lookup(parent *entry, name string) *entry {
	if child, ok := parent.children[name]; ok || parent.what != host {
		return child
	}
	source := path.Join(parent.source, name)
	if p.view.Kind(source) == None {
		return nil
	}
	child := p.hostEntry(source)
	child.implied = true
	child.readOnly = parent.readOnly
	parent.children[name] = child
	return child
}

// cover makes room for a new name in a directory: a read-only directory of the machine becomes one of the layer
// which shows the machine's entries. A writable volume needs no cover: the name is made in it, as container engines
// do.
func (p *planner) cover(parent *entry) {
	if parent.what != host || !parent.readOnly {
		return
	}
	for _, name := range p.view.Children(parent.source) {
		child := p.lookup(parent, name)
		if child != nil {
			child.implied = false
		}
	}
	parent.what, parent.source, parent.readOnly, parent.implied = layer, "", false, false
}
