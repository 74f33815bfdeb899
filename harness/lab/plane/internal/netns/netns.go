// Package netns makes network namespaces which no process lives in, and runs code inside them.
//
// A namespace is held by an open file: it lasts until that file is closed and the last process or socket in it is
// gone. Entering one is a matter of a thread, not of a process.
package netns

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

const ownPath = "/proc/thread-self/ns/net"

// New makes a network namespace with its loopback interface down.
func New() (*os.File, error) {
	type result struct {
		file *os.File
		err  error
	}
	done := make(chan result)
	go func() {
		// The thread is not unlocked: it ends with this goroutine, and so nothing else ever runs in the
		// namespace by mistake. It must not start a process (Pdeathsig would end that with the thread).
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- result{err: fmt.Errorf("new network namespace: %w", err)}
			return
		}
		file, err := os.Open(ownPath)
		done <- result{file: file, err: err}
	}()
	made := <-done
	return made.file, made.err
}

// Own is the namespace of the calling thread; the caller closes it.
func Own() (*os.File, error) { return os.Open(ownPath) }

// Do runs work with the calling goroutine's thread inside the namespace. Sockets which work opens belong to it for
// good; goroutines and processes which it starts do not.
func Do(namespace *os.File, work func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		own, err := Own()
		if err != nil {
			done <- err
			return
		}
		defer own.Close()
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		result := work()
		// A thread which cannot go back is not unlocked, so that it ends here.
		if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); err == nil {
			runtime.UnlockOSThread()
		}
		done <- result
	}()
	return <-done
}
