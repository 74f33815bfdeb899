package shim

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// usual are the capabilities of a container's program: those which container engines give (containerd and Docker:
// the default of their runtime specification), but for MKNOD and AUDIT_WRITE. A lab's programs run as root of its
// namespaces, or of the machine; with the right to mount, to trace or to make devices they could look behind their
// own file system.
var usual = []int{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER, unix.CAP_NET_RAW, unix.CAP_SETGID, unix.CAP_SETUID,
	unix.CAP_SETFCAP, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_CHROOT, unix.CAP_KILL,
}

// askable are those which a container gets if its security context adds them: they reach no further than the pod's
// own network.
var askable = map[string]int{"NET_ADMIN": unix.CAP_NET_ADMIN, "NET_BROADCAST": unix.CAP_NET_BROADCAST}

// giveUpRights takes from the program that is started next, and from all its descendants for good, every capability
// which is not allowed. The process itself keeps its own until then.
func giveUpRights(asked []string) error {
	allowed := map[int]bool{}
	for _, capability := range usual {
		allowed[capability] = true
	}
	for _, name := range asked {
		if capability, known := askable[strings.TrimPrefix(strings.ToUpper(name), "CAP_")]; known {
			allowed[capability] = true
		}
	}
	// Root gets what is inheritable whatever the bounding set says (capabilities(7)); some engines that a lab may itself
	// run in leave something there.
	header, held := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
	if err := unix.Capget(&header, &held[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	held[0].Inheritable, held[1].Inheritable = 0, 0
	if err := unix.Capset(&header, &held[0]); err != nil {
		return fmt.Errorf("clear inheritable capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	for capability := 0; ; capability++ {
		if allowed[capability] {
			continue
		}
		present, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(capability), 0, 0, 0)
		if err != nil { // one more than the kernel's last
			return nil
		}
		if present == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0); err != nil {
			return fmt.Errorf("give up capability %d: %w", capability, err)
		}
	}
}
