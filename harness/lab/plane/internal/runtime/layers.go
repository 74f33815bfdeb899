package runtime

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// removeLayers removes a folder of writable layers. It refuses while anything is mounted below: containers see the
// machine's own directories there, in mount namespaces of their own, and a removal must never reach through.
func removeLayers(folder string) error {
	real, err := filepath.EvalSymlinks(folder)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 4 && strings.HasPrefix(unescape(fields[4])+"/", real+"/") {
			return fmt.Errorf("%s is mounted, nothing below %s is removed", fields[4], folder)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return os.RemoveAll(folder)
}

// unescape undoes the octal escapes of mountinfo (blank, tab, newline, backslash).
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// diskUsage is what a layer holds, looked up at most once in diskAge.
type diskUsage struct {
	mu     sync.Mutex
	taken  time.Time
	bytes  uint64
	inodes uint64
}

func (d *diskUsage) of(folder string) (bytes, inodes uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.taken) < diskAge {
		return d.bytes, d.inodes
	}
	d.bytes, d.inodes, d.taken = 0, 0, time.Now()
	// Files which vanish during the walk are not counted.
	_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return nil
		}
		d.inodes++
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			d.bytes += uint64(stat.Blocks) * 512
		}
		return nil
	})
	return d.bytes, d.inodes
}
