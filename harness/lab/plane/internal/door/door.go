// Package door passes connections from one network namespace into another: a socket which listens outside is
// inherited by this process inside, which dials for each connection and copies both ways.
package door

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// dialTimeout bounds the wait for the far side; the near side is closed without an answer then.
const dialTimeout = 10 * time.Second

// Door is one listening socket and where its connections go.
type Door struct {
	FD int
	To string
}

// Parse reads "FD=HOST:PORT".
func Parse(text string) (Door, error) {
	fd, to, found := strings.Cut(text, "=")
	number, err := strconv.Atoi(fd)
	if !found || err != nil {
		return Door{}, fmt.Errorf("door %q is not FD=HOST:PORT", text)
	}
	if _, _, err := net.SplitHostPort(to); err != nil {
		return Door{}, fmt.Errorf("door %q: %w", text, err)
	}
	return Door{FD: number, To: to}, nil
}

// Serve accepts until the listener fails, which it returns.
func (d Door) Serve() error {
	file := os.NewFile(uintptr(d.FD), "door "+d.To)
	if file == nil {
		return fmt.Errorf("door to %s: %d is no open descriptor", d.To, d.FD)
	}
	listener, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("door to %s: descriptor %d: %w", d.To, d.FD, err)
	}
	if err := file.Close(); err != nil {
		return err
	}
	for {
		near, err := listener.Accept()
		if err != nil {
			return fmt.Errorf("door to %s: %w", d.To, err)
		}
		go pass(near, d.To)
	}
}

func pass(near net.Conn, to string) {
	defer near.Close()
	far, err := net.DialTimeout("tcp", to, dialTimeout)
	if err != nil {
		log.Printf("door: %v", err)
		return
	}
	defer far.Close()
	Join(near, far)
}

// writeCloser is a connection one half of which can be closed.
type writeCloser interface{ CloseWrite() error }

// Join copies both ways. When one side ends its half, so does the other; it returns when both halves have ended.
func Join(a, b net.Conn) {
	var wait sync.WaitGroup
	for _, way := range []struct{ to, from net.Conn }{{a, b}, {b, a}} {
		wait.Go(func() {
			_, err := io.Copy(way.to, way.from)
			if half, ok := way.to.(writeCloser); ok && err == nil {
				if half.CloseWrite() == nil {
					return
				}
			}
			// Broken, not ended: neither side can go on.
			way.to.Close()
			way.from.Close()
		})
	}
	wait.Wait()
}
