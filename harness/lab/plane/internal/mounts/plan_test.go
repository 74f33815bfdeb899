package mounts

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// machine is a View: a path ending in "/" is a directory, "path -> target" a link, anything else a file.
type machine struct {
	kinds map[string]Kind
	links map[string]string
}

func newMachine(lines ...string) machine {
	m := machine{kinds: map[string]Kind{"/": Dir}, links: map[string]string{}}
	for _, line := range lines {
		name, target, isLink := strings.Cut(line, " -> ")
		switch {
		case isLink:
			m.kinds[name], m.links[name] = Link, target
		case strings.HasSuffix(name, "/"):
			m.kinds[path.Clean(name)] = Dir
		default:
			m.kinds[name] = File
		}
	}
	return m
}

func (m machine) Kind(name string) Kind       { return m.kinds[path.Clean(name)] }
func (m machine) Readlink(name string) string { return m.links[name] }
func (m machine) Children(name string) []string {
	var names []string
	for child := range m.kinds {
		if child != "/" && path.Dir(child) == path.Clean(name) {
			names = append(names, path.Base(child))
		}
	}
	slices.Sort(names)
	return names
}

var typical = newMachine("/bin -> usr/bin", "/usr/", "/usr/bin/", "/usr/bin/sh", "/etc/", "/etc/hosts", "/etc/resolv.conf -> ../run/systemd/resolv.conf",
	"/var/", "/var/run -> /run", "/var/lib/", "/var/lib/dpkg/", "/var/lib/note", "/run/", "/tmp/", "/tmp/checkout/", "/dev/", "/dev/null", "/dev/pts/", "/proc/",
	"/vol/", "/vol/a/", "/vol/a/sub/", "/vol/file", "/opt/")

func plan(t *testing.T, mounts []Mount, expose ...string) []string {
	t.Helper()
	list, err := Plan(typical, mounts, expose, "", Hidden{})
	if err != nil {
		t.Fatal(err)
	}
	return render(list)
}

// render gives each step a line: what it does, where, from where, and "rw" if it may be written to.
func render(list []Step) []string {
	names := map[Verb]string{MakeDir: "dir", MakeFile: "file", MakeLink: "link", BindHost: "bind", BindLayer: "layer", MountTmpfs: "tmpfs", MountProc: "proc"}
	var lines []string
	for _, step := range list {
		line := names[step.Verb] + " " + step.Path
		if step.Source != "" {
			line += " " + step.Source
		}
		if step.Verb == BindHost && !step.ReadOnly {
			line += " rw"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestBase(t *testing.T) {
	want := []string{
		"link /bin usr/bin",
		"dir /dev", "link /dev/fd /proc/self/fd", "file /dev/null", "bind /dev/null /dev/null rw", "dir /dev/pts", "bind /dev/pts /dev/pts rw",
		"dir /dev/shm", "tmpfs /dev/shm", "link /dev/stderr /proc/self/fd/2", "link /dev/stdin /proc/self/fd/0", "link /dev/stdout /proc/self/fd/1",
		"dir /etc", "bind /etc /etc", "dir /opt", "bind /opt /opt", "dir /proc", "proc /proc", "dir /run", "dir /tmp",
		"dir /usr", "bind /usr /usr", "dir /var", "bind /var /var", "dir /vol", "bind /vol /vol",
	}
	if got := plan(t, nil); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMountPoints(t *testing.T) {
	for _, c := range []struct {
		id     string
		mounts []Mount
		expose []string
		want   []string // in this order among the steps
		absent []string
	}{
		{
			id: "new name in the root", mounts: []Mount{{Source: "/vol/a", Target: "/data"}},
			want: []string{"dir /data", "bind /data /vol/a rw"},
		},
		{
			id: "file over a file of the machine", mounts: []Mount{{Source: "/vol/file", Target: "/etc/hosts"}},
			want: []string{"bind /etc /etc", "bind /etc/hosts /vol/file rw"}, absent: []string{"file /etc/hosts"},
		},
		{
			id: "missing name deep in the machine", mounts: []Mount{{Source: "/vol/a", Target: "/var/lib/app/data", ReadOnly: true}},
			want: []string{
				"bind /var /var", "layer /var/lib", "dir /var/lib/app", "dir /var/lib/app/data", "bind /var/lib/app/data /vol/a",
				"dir /var/lib/dpkg", "bind /var/lib/dpkg /var/lib/dpkg", "file /var/lib/note", "bind /var/lib/note /var/lib/note",
			},
		},
		{
			id: "through a link", mounts: []Mount{{Source: "/vol/a", Target: "/var/run/secrets/token"}},
			want: []string{"dir /run", "dir /run/secrets", "dir /run/secrets/token", "bind /run/secrets/token /vol/a rw"},
		},
		{
			id: "over a dangling link", mounts: []Mount{{Source: "/vol/file", Target: "/etc/resolv.conf"}},
			want: []string{"dir /run/systemd", "file /run/systemd/resolv.conf", "bind /run/systemd/resolv.conf /vol/file rw"},
		},
		{
			id:     "inside a writable volume",
			mounts: []Mount{{Source: "/vol/file", Target: "/data/sub/new"}, {Source: "/vol/a", Target: "/data"}},
			want:   []string{"bind /data /vol/a rw", "file /data/sub/new", "bind /data/sub/new /vol/file rw"}, absent: []string{"layer /data/sub"},
		},
		{
			id:     "inside a read-only volume",
			mounts: []Mount{{Source: "/vol/a", Target: "/data", ReadOnly: true}, {Source: "/vol/file", Target: "/data/new"}},
			want:   []string{"dir /data", "file /data/new", "bind /data/new /vol/file rw", "dir /data/sub", "bind /data/sub /vol/a/sub"},
		},
		{
			id: "a device which is not there", mounts: []Mount{{Source: "/vol/file", Target: "/dev/termination-log"}},
			want: []string{"dir /dev", "file /dev/termination-log", "bind /dev/termination-log /vol/file rw"},
		},
		{
			id: "memory directory of the user's", mounts: []Mount{{Source: "/vol/a", Target: "/dev/shm"}},
			want: []string{"dir /dev/shm", "bind /dev/shm /vol/a rw"}, absent: []string{"tmpfs /dev/shm"},
		},
		{
			id: "exposed program", expose: []string{"/tmp/checkout/bin/x", "/usr/bin/sh"},
			want: []string{"dir /tmp", "dir /tmp/checkout", "bind /tmp/checkout /tmp/checkout"},
		},
	} {
		t.Run(c.id, func(t *testing.T) {
			got := plan(t, c.mounts, c.expose...)
			next := 0
			for _, line := range got {
				if next < len(c.want) && line == c.want[next] {
					next++
				}
			}
			if next < len(c.want) {
				t.Errorf("no step %q in its place among\n%s", c.want[next], strings.Join(got, "\n"))
			}
			for _, line := range c.absent {
				if slices.Contains(got, line) {
					t.Errorf("there is a step %q", line)
				}
			}
		})
	}
}

func TestWorkingDirectory(t *testing.T) {
	for dir, want := range map[string][]Step{
		"":             nil,
		"/":            nil,
		"/usr/bin":     nil,
		"/app/sub":     {{Verb: MakeDir, Path: "/app"}, {Verb: MakeDir, Path: "/app/sub"}},
		"/opt/app":     {{Verb: MakeDir, Path: "/opt"}, {Verb: MakeDir, Path: "/opt/app"}},
		"/var/lib/app": {{Verb: BindLayer, Path: "/var/lib"}, {Verb: MakeDir, Path: "/var/lib/app"}},
	} {
		steps, err := Plan(typical, nil, nil, dir, Hidden{})
		if err != nil {
			t.Fatal(err)
		}
		base, err := Plan(typical, nil, nil, "", Hidden{})
		if err != nil {
			t.Fatal(err)
		}
		if want == nil && !slices.Equal(steps, base) {
			t.Errorf("%q changes the plan", dir)
		}
		for _, step := range want {
			if !slices.Contains(steps, step) {
				t.Errorf("%q: no step %+v", dir, step)
			}
		}
	}
	if _, err := Plan(typical, nil, nil, "relative", Hidden{}); err == nil {
		t.Error("a relative working directory was accepted")
	}
	if _, err := Plan(typical, nil, nil, "/etc/hosts", Hidden{}); err == nil {
		t.Error("a file was accepted as working directory")
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ source, target, problem string }{
		{"/vol/none", "/data", "does not exist"},
		{"/vol/a", "/", "no mount point"},
		{"/vol/a", "relative", "no mount point"},
		{"/vol/a", "/etc/hosts", "a directory in one place and a file in the other"},
		{"/vol/file", "/etc/hosts/x", "is no directory"},
	} {
		t.Run(fmt.Sprint(c.source, " at ", c.target), func(t *testing.T) {
			_, err := Plan(typical, []Mount{{Source: c.source, Target: c.target}}, nil, "", Hidden{})
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("error %v, want one with %q", err, c.problem)
			}
		})
	}
}
