package runtime

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"taintlab.dev/plane/internal/crilog"
	"taintlab.dev/plane/internal/streaming"
)

// stdio is the runtime's ends of a program's streams. The zero stdio is of a program without any.
type stdio struct {
	// in is where attached callers write; nil unless the program has stdin.
	in io.WriteCloser
	// out and err are where the program's output comes from. A terminal has out only, and it is in too.
	out, err *os.File
	terminal *os.File

	pumps  sync.WaitGroup
	fanOut map[string]*fanout
}

// ends are the program's ends, closed in this process once the program has them.
type ends struct{ in, out, err *os.File }

func (e ends) close() {
	for _, file := range []*os.File{e.in, e.out, e.err} {
		if file != nil {
			file.Close()
		}
	}
}

// newStdio makes a terminal, or pipes.
func newStdio(stdin, tty bool) (*stdio, ends, error) {
	s := &stdio{fanOut: map[string]*fanout{crilog.Stdout: {}, crilog.Stderr: {}}}
	if tty {
		master, slave, err := openTerminal()
		if err != nil {
			return nil, ends{}, err
		}
		s.out, s.terminal = master, master
		if stdin {
			s.in = master
		}
		// Three descriptors of one file: each is closed once.
		out, err1 := duplicate(slave)
		errors2, err2 := duplicate(slave)
		return s, ends{slave, out, errors2}, errors.Join(err1, err2)
	}
	var program ends
	var problems [3]error
	s.out, program.out, problems[0] = os.Pipe()
	s.err, program.err, problems[1] = os.Pipe()
	if stdin {
		program.in, s.in, problems[2] = pipe()
	}
	if err := errors.Join(problems[:]...); err != nil {
		program.close()
		s.abandon()
		return nil, ends{}, err
	}
	return s, program, nil
}

func pipe() (*os.File, io.WriteCloser, error) {
	read, write, err := os.Pipe()
	return read, write, err
}

// record writes everything to the log and to whoever is attached, until the program's ends are closed.
func (s *stdio) record(log *crilog.File) {
	pump := func(stream string, from *os.File) {
		if from == nil {
			return
		}
		s.pumps.Go(func() {
			defer s.fanOut[stream].close()
			// A log that cannot be written must not stop the program; reading goes on to the end in any case.
			_ = log.Copy(stream, io.TeeReader(from, s.fanOut[stream]))
			if from != s.terminal {
				from.Close()
			}
		})
	}
	pump(crilog.Stdout, s.out)
	pump(crilog.Stderr, s.err)
}

// wait waits until all output has been read, and lets go of the rest.
func (s *stdio) wait() {
	s.pumps.Wait()
	if s.in != nil {
		s.in.Close()
	}
	if s.terminal != nil {
		s.terminal.Close()
	}
}

// abandon closes the runtime's ends of a program that was never started.
func (s *stdio) abandon() {
	for _, file := range []*os.File{s.out, s.err} {
		if file != nil {
			file.Close()
		}
	}
	if s.in != nil && s.terminal == nil {
		s.in.Close()
	}
}

// fanout passes what a program writes on to those who are attached at that moment.
type fanout struct {
	mu       sync.Mutex
	closed   bool
	attached map[*listener]bool
}

// listener is one attached caller. A caller which falls behind by more than its queue is cut off: the program must
// not wait for it.
type listener struct{ queue chan []byte }

const listenerQueue = 256

// Write implements io.Writer; it never blocks and never fails.
func (f *fanout) Write(text []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for l := range f.attached {
		select {
		case l.queue <- append([]byte(nil), text...):
		default:
			delete(f.attached, l)
			close(l.queue)
		}
	}
	return len(text), nil
}

// attach adds a listener; its queue is closed at the end of the stream.
func (f *fanout) attach() *listener {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := &listener{queue: make(chan []byte, listenerQueue)}
	if f.closed {
		close(l.queue)
		return l
	}
	if f.attached == nil {
		f.attached = map[*listener]bool{}
	}
	f.attached[l] = true
	return l
}

func (f *fanout) detach(l *listener) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.attached[l] {
		delete(f.attached, l)
		close(l.queue)
	}
}

func (f *fanout) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for l := range f.attached {
		delete(f.attached, l)
		close(l.queue)
	}
}

// openTerminal makes a pseudo terminal.
func openTerminal() (master, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, &os.PathError{Op: "open", Path: "/dev/ptmx", Err: err}
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, errors.Join(err, master.Close())
	}
	peer, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, nil, errors.Join(errno, master.Close())
	}
	return master, os.NewFile(peer, "terminal"), nil
}

func duplicate(file *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), file.Name()), nil
}

// follow resizes a terminal until the channel is closed.
func follow(terminal *os.File, sizes <-chan streaming.TerminalSize) {
	for size := range sizes {
		raw, err := terminal.SyscallConn()
		if err != nil {
			return
		}
		// A terminal that is gone cannot be resized; the stream ends by itself.
		_ = raw.Control(func(fd uintptr) {
			_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Height, Col: size.Width})
		})
	}
}
