// Package procstat adds up what trees of processes use, from /proc.
package procstat

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

// ticksPerSecond is USER_HZ, the unit of CPU times in /proc; it is 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// Usage is what a process and all its descendants use.
type Usage struct {
	// ResidentBytes counts a page that several processes share once for each of them.
	ResidentBytes uint64
	// CPUNanoseconds includes descendants which have ended and were waited for.
	CPUNanoseconds uint64
	Processes      uint64
	Threads        uint64
}

func (u *Usage) add(other Usage) {
	u.ResidentBytes += other.ResidentBytes
	u.CPUNanoseconds += other.CPUNanoseconds
	u.Processes += other.Processes
	u.Threads += other.Threads
}

type process struct {
	parent int
	usage  Usage
}

// parse reads /proc/PID/stat (proc_pid_stat(5)). The command's name may hold spaces and brackets.
func parse(line []byte, pageBytes uint64) (process, error) {
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return process{}, fmt.Errorf("no command in %q", line)
	}
	fields := bytes.Fields(line[end+1:])
	// Field numbers of the manual page, less the two before and in the brackets, less one.
	const state = 3
	number := func(field int) uint64 {
		if field-state >= len(fields) {
			return 0
		}
		value, err := strconv.ParseUint(string(fields[field-state]), 10, 64)
		if err != nil {
			return 0
		}
		return value
	}
	if len(fields) < 22 {
		return process{}, fmt.Errorf("%d fields after the command in %q", len(fields), line)
	}
	ticks := number(14) + number(15) + number(16) + number(17)
	return process{parent: int(number(4)), usage: Usage{
		ResidentBytes:  number(24) * pageBytes,
		CPUNanoseconds: ticks * uint64(time.Second) / ticksPerSecond,
		Processes:      1,
		Threads:        number(20),
	}}, nil
}

// Table is all processes at one moment.
type Table struct {
	processes map[int]process
	children  map[int][]int
}

// read looks at every process once. One that ends meanwhile is left out.
func read() (*Table, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	table := &Table{processes: map[int]process{}, children: map[int][]int{}}
	pageBytes := uint64(os.Getpagesize())
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue
		}
		if p, err := parse(line, pageBytes); err == nil {
			table.processes[pid] = p
			table.children[p.parent] = append(table.children[p.parent], pid)
		}
	}
	return table, nil
}

// Tree is what a process and its descendants use; nothing if there is no such process.
func (t *Table) Tree(pid int) Usage {
	var sum Usage
	p, ok := t.processes[pid]
	if !ok {
		return sum
	}
	sum.add(p.usage)
	for _, child := range t.children[pid] {
		sum.add(t.Tree(child))
	}
	return sum
}

// Sampler gives a table that is at most maxAge old. It is safe for concurrent use.
type Sampler struct {
	maxAge time.Duration

	mu    sync.Mutex
	table *Table
	taken time.Time
}

// NewSampler makes a Sampler.
func NewSampler(maxAge time.Duration) *Sampler { return &Sampler{maxAge: maxAge} }

// Table is the present table.
func (s *Sampler) Table() (*Table, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table == nil || time.Since(s.taken) > s.maxAge {
		table, err := read()
		if err != nil {
			return nil, err
		}
		s.table, s.taken = table, time.Now()
	}
	return s.table, nil
}
