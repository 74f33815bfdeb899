package programs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for reference, want := range map[string]string{
		"busybox":                             "busybox",
		"busybox:1.36":                        "busybox",
		"ghcr.io/stefanprodan/podinfo:6.9.2":  "ghcr.io/stefanprodan/podinfo",
		"registry:5000/team/app":              "registry:5000/team/app",
		"registry:5000/team/app:v1":           "registry:5000/team/app",
		"app@sha256:0123":                     "app",
		"registry:5000/team/app:v1@sha256:01": "registry:5000/team/app",
	} {
		if got := Name(reference); got != want {
			t.Errorf("Name(%q) = %q, want %q", reference, got, want)
		}
	}
}

func TestResolve(t *testing.T) {
	table := Table{
		"ghcr.io/stefanprodan/podinfo": {"/cache/podinfo"},
		"busybox":                      {OnHost},
		"quiet":                        {StandIn},
		"tool":                         {"/cache/python", "-m", "tool"},
	}
	cases := []struct {
		id            string
		image         string
		command, args []string
		want          []string
		known         bool
		problem       string
	}{
		{id: "program with arguments", image: "ghcr.io/stefanprodan/podinfo:6.9.2", args: []string{"--port=80"}, want: []string{"/cache/podinfo", "--port=80"}, known: true},
		{id: "command is the program", image: "ghcr.io/stefanprodan/podinfo", command: []string{"./podinfo", "--level=error"}, want: []string{"/cache/podinfo", "--level=error"}, known: true},
		{id: "command is another program", image: "ghcr.io/stefanprodan/podinfo", command: []string{"sh", "-c"}, args: []string{"true"}, want: []string{"sh", "-c", "true"}, known: true},
		{id: "prefix of several words", image: "tool", args: []string{"x"}, want: []string{"/cache/python", "-m", "tool", "x"}, known: true},
		{id: "last path element", image: "docker.io/library/busybox:1", command: []string{"sleep", "1"}, want: []string{"sleep", "1"}, known: true},
		{id: "arguments alone on the host", image: "busybox", args: []string{"sleep", "1"}, want: []string{"sleep", "1"}, known: true},
		{id: "host without command", image: "busybox", problem: "sets neither command nor args"},
		{id: "stand-in by table", image: "quiet", command: []string{"sh"}, known: true},
		{id: "unknown image", image: "nginx:1", command: []string{"nginx"}},
		{id: "last element only, not a suffix", image: "other/mybusybox", command: []string{"sh"}},
	}
	for _, c := range cases {
		t.Run(c.id, func(t *testing.T) {
			got, err := table.Resolve(c.image, c.command, c.args)
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Fatalf("error %v, want one with %q", err, c.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Argv, c.want) || got.Known != c.known {
				t.Errorf("got %v known %v, want %v known %v", got.Argv, got.Known, c.want, c.known)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	for id, content := range map[string]string{
		"empty program": `{"busybox": []}`,
		"relative path": `{"busybox": ["bin/sh"]}`,
		"not a table":   `["busybox"]`,
	} {
		t.Run(id, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "programs.json")
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(file); err == nil {
				t.Error("accepted")
			}
		})
	}
}
