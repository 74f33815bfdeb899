package mounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Machine is the View of the machine which the calling process sees.
type Machine struct{}

// Kind implements View. What cannot be looked at is not there.
func (Machine) Kind(path string) Kind {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return None
	case info.IsDir():
		return Dir
	case info.Mode()&os.ModeSymlink != 0:
		return Link
	default:
		return File
	}
}

// Readlink implements View.
func (Machine) Readlink(path string) string {
	target, err := os.Readlink(path)
	if err != nil {
		return ""
	}
	return target
}

// Children implements View.
func (Machine) Children(path string) []string {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names
}

// Enter builds the planned file system in the directory layer and makes it the root of the calling process. The
// process must be alone in its mount namespace: everything is made private in it first, so nothing of what follows
// reaches any other, and the error of that step ends the matter.
//
// The result is where directories of the layer are mounted, for Seal.
//
// Where the kernel refuses a new /proc (a machine which hides parts of its own), the machine's is shown instead:
// the container then sees the machine's process ids.
func Enter(layer string, steps []Step) ([]string, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("make the mounts private: %w", err)
	}
	root := filepath.Join(layer, "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
		return nil, fmt.Errorf("bind the container's root: %w", err)
	}
	// Unbindable: the machine's directories are bound with everything below, and the layer may lie in one of them.
	if err := unix.Mount("", root, "", unix.MS_UNBINDABLE, ""); err != nil {
		return nil, fmt.Errorf("make the container's root unbindable: %w", err)
	}
	own := []string{"/"}
	for _, step := range steps {
		if step.Verb == BindLayer {
			step.Source = filepath.Join(layer, "covers", strconv.Itoa(len(own)))
			own = append(own, step.Path)
		}
		if err := take(step, filepath.Join(root, step.Path)); err != nil && !step.Optional {
			return nil, fmt.Errorf("mount %s: %w", step.Path, err)
		}
	}
	return own, pivot(root)
}

// Seal makes directories of the layer read-only, but not what is mounted in them.
func Seal(own []string) error {
	for _, at := range own {
		err := unix.Mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
		if err != nil {
			return fmt.Errorf("make %s read-only: %w", at, err)
		}
	}
	return nil
}

func take(step Step, at string) error {
	mode := os.FileMode(0o755)
	if step.Mode != 0 {
		mode = os.FileMode(step.Mode & 0o777)
		if step.Mode&0o1000 != 0 {
			mode |= os.ModeSticky
		}
	}
	switch step.Verb {
	case MakeDir:
		return makeDir(at, mode)
	case MakeFile:
		file, err := os.OpenFile(at, os.O_CREATE|os.O_RDONLY, 0o644)
		if err != nil {
			return err
		}
		return file.Close()
	case MakeLink:
		if err := os.Symlink(step.Source, at); !errors.Is(err, os.ErrExist) {
			return err
		}
		return nil
	case BindLayer:
		if err := os.MkdirAll(filepath.Dir(step.Source), 0o755); err != nil {
			return err
		}
		if err := makeDir(step.Source, mode); err != nil {
			return err
		}
		return bind(step.Source, at, false)
	case BindHost:
		return bind(step.Source, at, step.ReadOnly)
	case MountTmpfs:
		return unix.Mount("tmpfs", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777,size=64m")
	case MountProc:
		if err := unix.Mount("proc", at, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return bind("/proc", at, false)
		}
		return nil
	default:
		return fmt.Errorf("unknown step %d", step.Verb)
	}
}

func makeDir(at string, mode os.FileMode) error {
	if err := os.Mkdir(at, mode); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil
		}
		return err
	}
	// The umask does not apply to what the plan says.
	return os.Chmod(at, mode)
}

func bind(source, at string, readOnly bool) error {
	if err := unix.Mount(source, at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", source, err)
	}
	if !readOnly {
		return nil
	}
	attributes := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	err := unix.MountSetattr(unix.AT_FDCWD, at, unix.AT_RECURSIVE, attributes)
	if errors.Is(err, unix.ENOSYS) {
		// Before Linux 5.12 only the topmost of the bound mounts can be changed in one call.
		var old unix.Statfs_t
		if err := unix.Statfs(at, &old); err != nil {
			return err
		}
		keep := uintptr(old.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME | unix.MS_RELATIME)
		err = unix.Mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|keep, "")
	}
	if err != nil {
		// Rather not there at all than writable.
		return errors.Join(fmt.Errorf("make %s read-only: %w", source, err), unix.Unmount(at, unix.MNT_DETACH))
	}
	return nil
}

// pivot makes root the root of the mount namespace, so that a later entrant (exec) finds it there, and lets go of
// the machine's.
func pivot(root string) error {
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the machine's root: %w", err)
	}
	return unix.Chdir("/")
}
