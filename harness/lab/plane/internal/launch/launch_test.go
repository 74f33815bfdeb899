package launch

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"taintlab.dev/plane/internal/mounts"
	"taintlab.dev/plane/internal/shim"
)

// The launcher starts this very executable as its shim.
func init() {
	if len(os.Args) == 2 && os.Args[1] == "init" {
		runtime.LockOSThread()
		os.Exit(shim.Main())
	}
}

// launch runs a shell command as a container and gives its output when it has ended.
func launch(t *testing.T, l *Launcher, orders shim.Orders) (*Process, *os.File, error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("namespaces need root, or a user namespace around the test")
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	if orders.Env == nil {
		orders.Env = []string{"PATH=" + os.Getenv("PATH")}
	}
	process, err := l.Start(Spec{Orders: orders, Stdout: write, Stderr: write})
	write.Close()
	return process, read, err
}

func shell(command string) shim.Orders { return shim.Orders{Argv: []string{"sh", "-c", command}} }

func TestExit(t *testing.T) {
	l := New()
	for _, c := range []struct {
		command string
		want    Exit
	}{
		{"exit 0", Exit{}},
		{"exit 3", Exit{Code: 3}},
		{"echo $$ && exit 7", Exit{Code: 7}},
	} {
		process, _, err := launch(t, l, shell(c.command))
		if err != nil {
			t.Fatal(err)
		}
		<-process.Done()
		if process.Exit() != c.want {
			t.Errorf("%s: %+v, want %+v", c.command, process.Exit(), c.want)
		}
	}
}

func TestSignals(t *testing.T) {
	l := New()
	process, output, err := launch(t, l, shell("trap 'exit 5' TERM; echo ready; while true; do sleep 0.01; done"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := output.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	process.Signal(syscall.SIGTERM)
	<-process.Done()
	if process.Exit().Code != 5 {
		t.Errorf("ended with %+v", process.Exit())
	}
	// The program is process 1 of its namespace: a signal which it does not handle does not end it.
	process, _, err = launch(t, l, shim.Orders{Argv: []string{"sleep", "100"}})
	if err != nil {
		t.Fatal(err)
	}
	process.Signal(syscall.SIGTERM)
	select {
	case <-process.Done():
		t.Error("SIGTERM ended process 1")
	case <-time.After(100 * time.Millisecond):
	}
	process.Signal(syscall.SIGKILL)
	<-process.Done()
	if want := (Exit{Code: 137, Signal: syscall.SIGKILL}); process.Exit() != want {
		t.Errorf("ended with %+v", process.Exit())
	}
}

func TestProgramNotFound(t *testing.T) {
	l := New()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for program, problem := range map[string]string{
		"no-such-program": "program no-such-program is not found on this machine",
		"/no/such":        "program /no/such does not exist",
		plain:             "not an executable file",
	} {
		_, _, err := launch(t, l, shim.Orders{Argv: []string{program}})
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: error %v, want one with %q", program, err, problem)
		}
	}
}

func TestFileSystem(t *testing.T) {
	l := New()
	layer, volume := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(volume, "file"), []byte("of the volume"), 0o600); err != nil {
		t.Fatal(err)
	}
	orders := shell(`cat /data/file /etc/new/deep/file /ro/file; echo; echo changed > /data/out; echo own > /own; echo tmp > /tmp/x
		(echo no > /usr/no) 2>/dev/null || echo usr read-only; (echo no > /ro/no) 2>/dev/null || echo volume read-only; pwd; hostname; ls /proc | grep -c '^[0-9]'`)
	orders.Layer, orders.WorkingDir, orders.Hostname = layer, "/etc/made/dir", "web-1"
	orders.Mounts = []mounts.Mount{
		{Source: volume, Target: "/data"}, {Source: volume, Target: "/etc/new/deep"}, {Source: volume, Target: "/ro", ReadOnly: true},
	}
	process, output, err := launch(t, l, orders)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(output)
	if err != nil {
		t.Fatal(err)
	}
	<-process.Done()
	want := "of the volumeof the volumeof the volume\nusr read-only\nvolume read-only\n/etc/made/dir\nweb-1\n"
	if got, found := strings.CutPrefix(string(text), want); !found {
		t.Errorf("got %q, want %q", text, want)
	} else if n, err := strconv.Atoi(strings.TrimSpace(got)); err != nil || n > 4 {
		t.Errorf("the container sees %s processes", got)
	}
	for path, want := range map[string]string{filepath.Join(volume, "out"): "changed\n", filepath.Join(layer, "root", "own"): "own\n", filepath.Join(layer, "root", "tmp", "x"): "tmp\n"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", path, got, err)
		}
	}
	for _, path := range []string{"/own", "/etc/new", "/data", "/etc/made", "/usr/no"} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("the machine has %s now", path)
		}
	}
}

func TestReadOnlyRoot(t *testing.T) {
	l := New()
	orders := shell("(echo x > /x) 2>/dev/null || echo read-only; echo x > /vol/x && echo writable")
	orders.Layer, orders.ReadOnlyRoot, orders.Mounts = t.TempDir(), true, []mounts.Mount{{Source: t.TempDir(), Target: "/vol"}}
	_, output, err := launch(t, l, orders)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(output); err != nil || string(text) != "read-only\nwritable\n" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestExecIntoContainer(t *testing.T) {
	l := New()
	process, _, err := launch(t, l, shim.Orders{Argv: []string{"sleep", "100"}, Layer: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer process.Signal(syscall.SIGKILL)
	folder := "/proc/" + strconv.Itoa(process.PID) + "/ns/"
	pid, err := os.Open(folder + "pid")
	if err != nil {
		t.Fatal(err)
	}
	defer pid.Close()
	mnt, err := os.Open(folder + "mnt")
	if err != nil {
		t.Fatal(err)
	}
	defer mnt.Close()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	inside, err := l.Start(Spec{
		Orders: shim.Orders{Argv: []string{"sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline; exit 4"}, Env: []string{"PATH=" + os.Getenv("PATH")}},
		Stdout: write, PIDNamespace: pid, Join: []Namespace{{Flag: syscall.CLONE_NEWNS, File: mnt}},
	})
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(read)
	<-inside.Done()
	if err != nil || string(text) != "sleep 100 " || inside.Exit().Code != 4 {
		t.Errorf("got %q, %v, %+v", text, err, inside.Exit())
	}
}

func TestHiddenFilesAndRights(t *testing.T) {
	l := New()
	home, shared := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".ssh/id", ".netrc", "open"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte("content of "+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The third argument makes the folder visible below /tmp, as a program's path does.
	orders := shell(`cat "$0/open"; cat /host/open; for at in "$0" /host; do
		cat "$at/.ssh/id" "$at/.netrc" 2>&1 | grep -c 'content of' || true
		umount "$at/.ssh" 2>/dev/null && echo unmounted; unshare -Um umount "$at/.ssh" 2>/dev/null && echo unmounted; done
		mknod /dev/x b 7 0 2>/dev/null && echo made; test -e /host/.netrc && echo there; grep CapBnd /proc/self/status`)
	orders.Argv = append(orders.Argv, home)
	orders.Expose, orders.Layer = []string{home}, shared
	orders.Hidden = mounts.Hidden{Homes: []string{home}}
	orders.Mounts = []mounts.Mount{{Source: home, Target: "/host"}}
	process, output, err := launch(t, l, orders)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(output)
	if err != nil {
		t.Fatal(err)
	}
	<-process.Done()
	want := "content of open\ncontent of open\n0\n0\nthere\nCapBnd:\t00000000800425fb\n"
	if string(text) != want {
		t.Errorf("got %q, want %q", text, want)
	}
}
