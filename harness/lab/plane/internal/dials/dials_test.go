package dials

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	figures, err := Parse([]byte(`{"memory.available": "200Mi", "nodefs.inodesFree": 1000, "pods": {"default/a": {"memory.workingset": "3Gi", "disk.used": "1Gi"}, "default/b": {"disk.used": 5}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := figures.Node(MemoryAvailable); !ok || got != 200<<20 {
		t.Errorf("memory.available = %d, %v", got, ok)
	}
	if got, ok := figures.Node(NodefsInodesFree); !ok || got != 1000 {
		t.Errorf("nodefs.inodesFree = %d, %v", got, ok)
	}
	if _, ok := figures.Node(PIDAvailable); ok {
		t.Error("pid.available is set")
	}
	a := figures.Pod("default", "a")
	if a.MemoryWorkingSetBytes == nil || *a.MemoryWorkingSetBytes != 3<<30 || a.DiskUsedBytes == nil || *a.DiskUsedBytes != 1<<30 {
		t.Errorf("pod a = %+v", a)
	}
	if got := figures.Pod("default", "none"); got != (Pod{}) {
		t.Errorf("pod without dials = %+v", got)
	}
	if got := figures.DialedDiskBytes(); got != 1<<30+5 {
		t.Errorf("dialed disk = %d", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for id, c := range map[string]struct{ content, problem string }{
		"unknown signal":   {`{"memory.free": "1"}`, `unknown dial "memory.free"`},
		"unknown pod dial": {`{"pods": {"a/b": {"cpu": "1"}}}`, `unknown dial "cpu"`},
		"no quantity":      {`{"memory.available": "lots"}`, "no quantity"},
		"negative":         {`{"memory.available": "-1"}`, "negative"},
		"pod without ns":   {`{"pods": {"b": {"disk.used": "1"}}}`, "NAMESPACE/NAME"},
		"cut off":          {`{"memory.available": `, "unexpected end"},
	} {
		t.Run(id, func(t *testing.T) {
			if _, err := Parse([]byte(c.content)); err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("error %v, want one with %q", err, c.problem)
			}
		})
	}
}

func TestReaderFollowsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dials.json")
	var problems []error
	reader := NewReader(path, func(err error) { problems = append(problems, err) })
	modified := time.Unix(1_000_000, 0)
	write := func(content string) {
		t.Helper()
		modified = modified.Add(time.Second)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want uint64, set bool) {
		t.Helper()
		if got, ok := reader.Current().Node(MemoryAvailable); got != want || ok != set {
			t.Errorf("memory.available = %d, %v; want %d, %v", got, ok, want, set)
		}
	}
	expect(0, false)
	write(`{"memory.available": "7"}`)
	expect(7, true)
	write(`{"memory.available": "8"`)
	expect(7, true)
	expect(7, true)
	if len(problems) != 1 {
		t.Errorf("problems %v, want one", problems)
	}
	write(`{"memory.available": "9"}`)
	expect(9, true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect(0, false)
}
