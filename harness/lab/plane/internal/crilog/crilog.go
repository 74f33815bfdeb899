// Package crilog writes container logs in the format which the kubelet reads: one line of
// "TIMESTAMP STREAM F|P TEXT" for each line the program wrote, P for a piece of a line that goes on.
package crilog

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// MaxLine is the longest piece of a line, in bytes, as container engines cut it.
const MaxLine = 16 << 10

// The streams of a container.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// File is one container's log. It is safe for concurrent use.
type File struct {
	path string
	now  func() time.Time

	mu     sync.Mutex
	file   *os.File
	buffer []byte
}

// Open opens or makes the log at path, and its folder.
func Open(path string, now func() time.Time) (*File, error) {
	l := &File{path: path, now: now}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return l, l.Reopen()
}

// Reopen goes on in a new file of the same name: the kubelet has moved the old one away to rotate it.
func (l *File) Reopen() error {
	file, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.file
	l.file = file
	if old != nil {
		return old.Close()
	}
	return nil
}

// Close ends the log.
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	return file.Close()
}

// Line writes one piece of a stream, without its newline.
func (l *File) Line(stream string, text []byte, whole bool) error {
	tag := byte('P')
	if whole {
		tag = 'F'
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return os.ErrClosed
	}
	line := l.now().UTC().AppendFormat(l.buffer[:0], time.RFC3339Nano)
	line = append(line, ' ')
	line = append(line, stream...)
	line = append(line, ' ', tag, ' ')
	line = append(line, text...)
	line = append(line, '\n')
	l.buffer = line
	_, err := l.file.Write(line)
	return err
}

// Copy writes everything from a stream until its end. A last line without newline is a piece. Write errors do not
// end it: a program must not block because its log's disk is full; the first one is returned at the end.
func (l *File) Copy(stream string, from io.Reader) error {
	reader := bufio.NewReaderSize(from, MaxLine)
	var failed error
	keep := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	for {
		text, err := reader.ReadSlice('\n')
		switch {
		case err == nil:
			keep(l.Line(stream, text[:len(text)-1], true))
		case errors.Is(err, bufio.ErrBufferFull):
			keep(l.Line(stream, text, false))
		default:
			if len(text) > 0 {
				keep(l.Line(stream, text, false))
			}
			if !errors.Is(err, io.EOF) {
				keep(err)
			}
			return failed
		}
	}
}
