package mounts

import (
	"slices"
	"strings"
	"testing"
)

var inhabited = newMachine("/tmp/", "/tmp/lab/", "/tmp/lab/node -> /home/u/.state/lab/node", "/tmp/lab/control.sock", "/usr/", "/usr/share/",
	"/home/", "/home/u/", "/home/u/.ssh/", "/home/u/.ssh/id", "/home/u/.netrc", "/home/u/.state/", "/home/u/.state/lab/", "/home/u/.state/lab/ca.key",
	"/home/u/.state/lab/node/", "/home/u/.state/lab/node/pod/", "/home/u/.tools/", "/home/u/.tools/bin/", "/home/u/.tools/secret",
	"/home/u/.kept/", "/home/u/.theme -> /usr/share", "/home/u/.config -> dots", "/home/u/dots/", "/home/u/project/", "/link -> home/u/.ssh", "/data/", "/data/own/")

var hidden = Hidden{
	Paths: []string{"/home/u/.state/lab", "/tmp/lab", "/no/such"}, Homes: []string{"/home/u", "/"},
	Kept: []string{"/home/u/.tools/bin", "/home/u/.kept", "/no/tools"}, Own: []string{"/tmp/lab/node/pod"},
}

func hiddenPlan(t *testing.T, mounts []Mount, expose ...string) []string {
	t.Helper()
	list, err := Plan(inhabited, mounts, expose, "", hidden)
	if err != nil {
		t.Fatal(err)
	}
	return render(list)
}

func TestWhatIsHidden(t *testing.T) {
	for _, c := range []struct {
		id     string
		mounts []Mount
		expose []string
		want   []string // in this order among the steps
		absent []string // beginnings of steps
	}{
		{
			id: "dot entries of a home, each by an empty one, but for what is kept",
			want: []string{
				"bind /home /home", "bind /home/u/.netrc /dev/null", "layer /home/u/.ssh", "layer /home/u/.state", "layer /home/u/.tools",
				"dir /home/u/.tools/bin", "bind /home/u/.tools/bin /home/u/.tools/bin", "layer /home/u/dots",
			},
			absent: []string{"layer /home/u/.kept", "layer /home/u/project", "layer /usr/share", "layer /home/u/.state/lab"},
		},
		{
			id: "what a program's path exposes", expose: []string{"/tmp/lab/control.sock"},
			want: []string{"dir /tmp", "dir /tmp/lab"}, absent: []string{"bind /tmp/lab"},
		},
		{
			id: "inside a writable volume that shows a home", mounts: []Mount{{Source: "/home", Target: "/host"}},
			want:   []string{"bind /host /home rw", "bind /host/u/.netrc /dev/null", "layer /host/u/.ssh", "bind /host/u/.tools/bin /home/u/.tools/bin"},
			absent: []string{"dir /host/u/.ssh", "file /host/u/.netrc"},
		},
		{
			id: "inside a volume that shows the whole machine", mounts: []Mount{{Source: "/", Target: "/host", ReadOnly: true}},
			want: []string{"bind /host /", "layer /host/home/u/.ssh", "layer /host/tmp/lab"},
		},
		{
			id: "the pod's own volume is shown", mounts: []Mount{{Source: "/tmp/lab/node/pod", Target: "/data/own"}},
			want: []string{"bind /data/own /home/u/.state/lab/node/pod rw"},
		},
		{
			id: "a volume over a hidden name", mounts: []Mount{{Source: "/data/own", Target: "/home/u/.ssh"}},
			want: []string{"bind /home/u/.ssh /data/own rw"}, absent: []string{"layer /home/u/.ssh"},
		},
		{
			id: "a volume below a hidden name", mounts: []Mount{{Source: "/data/own", Target: "/home/u/.ssh/new"}},
			want: []string{"layer /home/u/.ssh", "dir /home/u/.ssh/new", "bind /home/u/.ssh/new /data/own rw"},
		},
	} {
		t.Run(c.id, func(t *testing.T) {
			got := hiddenPlan(t, c.mounts, c.expose...)
			rest := got
			for _, line := range c.want {
				at := slices.Index(rest, line)
				if at < 0 {
					t.Fatalf("no %q in its place among\n%s", line, strings.Join(got, "\n"))
				}
				rest = rest[at+1:]
			}
			for _, line := range got {
				for _, not := range c.absent {
					if line == not || strings.HasPrefix(line, not+" ") {
						t.Errorf("%q is a step", line)
					}
				}
			}
		})
	}
}

func TestHiddenPathsAreNotMounted(t *testing.T) {
	for source, refused := range map[string]bool{
		"/home/u/.ssh": true, "/home/u/.ssh/id": true, "/link": true, "/link/id": true, "/tmp/lab/node": true, "/home/u/.state": true,
		"/tmp/lab/node/pod/../../../../../home/u/.ssh": true, "/home/u/.tools/secret": true, "/home/u/dots": true,
		"/home/u/.tools/bin": false, "/home/u/project": false, "/tmp/lab/node/pod": false, "/home/u/.kept": false, "/usr/share": false,
	} {
		_, err := Plan(inhabited, []Mount{{Source: source, Target: "/mnt"}}, nil, "", hidden)
		if got := err != nil && strings.Contains(err.Error(), "is hidden from pods"); got != refused || !refused && err != nil {
			t.Errorf("%s: %v", source, err)
		}
	}
}
