package crilog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T) (*File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pod", "0.log")
	at := time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.FixedZone("", 3600))
	log, err := Open(path, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log, path
}

func content(t *testing.T, path string) string {
	t.Helper()
	bytes, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes)
}

func TestCopy(t *testing.T) {
	const stamp = "2026-01-02T02:04:05.6789Z stdout "
	long := strings.Repeat("x", MaxLine)
	for _, c := range []struct{ id, written, want string }{
		{"lines", "a\nb c\n", stamp + "F a\n" + stamp + "F b c\n"},
		{"empty line", "\n", stamp + "F \n"},
		{"last line without newline", "a\nb", stamp + "F a\n" + stamp + "P b\n"},
		{"nothing", "", ""},
		{"longer than a piece", long + "yz\n", stamp + "P " + long + "\n" + stamp + "F yz\n"},
	} {
		t.Run(c.id, func(t *testing.T) {
			log, path := open(t)
			if err := log.Copy(Stdout, strings.NewReader(c.written)); err != nil {
				t.Fatal(err)
			}
			if got := content(t, path); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestReopenAfterRotation(t *testing.T) {
	log, path := open(t)
	if err := log.Line(Stderr, []byte("before"), true); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := log.Reopen(); err != nil {
		t.Fatal(err)
	}
	if err := log.Line(Stderr, []byte("after"), true); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path+".1"); !strings.HasSuffix(got, "stderr F before\n") {
		t.Errorf("rotated log %q", got)
	}
	if got := content(t, path); !strings.HasSuffix(got, "stderr F after\n") || strings.Contains(got, "before") {
		t.Errorf("new log %q", got)
	}
}

func TestLineAfterClose(t *testing.T) {
	log, _ := open(t)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := log.Line(Stdout, []byte("late"), true); err == nil {
		t.Error("a closed log took a line")
	}
}
