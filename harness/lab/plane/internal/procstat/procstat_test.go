package procstat

import (
	"os"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	const line = "42 (a ) (b) S 7 42 42 0 -1 4194560 100 0 0 0 150 50 20 30 20 0 5 0 12345 1000000 256 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0"
	p, err := parse([]byte(line), 4096)
	if err != nil {
		t.Fatal(err)
	}
	want := Usage{ResidentBytes: 256 * 4096, CPUNanoseconds: uint64(2500 * time.Millisecond), Processes: 1, Threads: 5}
	if p.parent != 7 || p.usage != want {
		t.Errorf("got parent %d, %+v; want 7, %+v", p.parent, p.usage, want)
	}
	for _, broken := range []string{"", "42 (cut off", "42 (short) S 7 42"} {
		if _, err := parse([]byte(broken), 4096); err == nil {
			t.Errorf("%q accepted", broken)
		}
	}
}

func TestTree(t *testing.T) {
	table := &Table{
		processes: map[int]process{
			1: {0, Usage{ResidentBytes: 1, Processes: 1}},
			2: {1, Usage{ResidentBytes: 10, Processes: 1}},
			3: {2, Usage{ResidentBytes: 100, Processes: 1}},
			4: {1, Usage{ResidentBytes: 1000, Processes: 1}},
		},
		children: map[int][]int{0: {1}, 1: {2, 4}, 2: {3}},
	}
	for pid, want := range map[int]Usage{1: {ResidentBytes: 1111, Processes: 4}, 2: {ResidentBytes: 110, Processes: 2}, 4: {ResidentBytes: 1000, Processes: 1}, 9: {}} {
		if got := table.Tree(pid); got != want {
			t.Errorf("tree of %d: got %+v, want %+v", pid, got, want)
		}
	}
}

func TestSamplerSeesThisProcess(t *testing.T) {
	table, err := NewSampler(time.Second).Table()
	if err != nil {
		t.Fatal(err)
	}
	if usage := table.Tree(os.Getpid()); usage.Processes < 1 || usage.ResidentBytes == 0 {
		t.Errorf("this process uses %+v", usage)
	}
}
