package podnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The lab's ranges. Every lab has a network namespace of its own, so all labs use the same ones.
const (
	// ServiceRange are the cluster addresses of Services; kube-proxy rewrites them.
	ServiceRange = "10.96.0.0/16"
	// PodRange holds the pod ranges of all nodes.
	PodRange = "10.244.0.0/15"
	// voidName is an interface whose packets arrive nowhere; see Up.
	voidName, voidPeer = "void0", "void1"
)

// settings make the namespace a router. Reverse-path filtering would drop what pods get from Service addresses.
var settings = []struct{ name, value string }{
	{"net/ipv4/ip_forward", "1"},
	{"net/ipv4/conf/all/rp_filter", "0"},
	{"net/ipv4/conf/default/rp_filter", "0"},
}

// Up makes the calling process's network namespace into a lab's: loopback up with the nodes' addresses on it, Service
// addresses routed to it, packets forwarded between pods.
//
// Pod addresses that no node routes lead into an interface which loses everything. That is how a dead machine looks
// from outside: its pods' addresses do not answer, they do not refuse.
func Up(addresses []netip.Addr) error {
	for _, setting := range settings {
		if err := os.WriteFile("/proc/sys/"+setting.name, []byte(setting.value), 0o644); err != nil {
			return fmt.Errorf("setting %s=%s: %w", strings.ReplaceAll(setting.name, "/", "."), setting.value, err)
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("lo up: %w", err)
	}
	for _, address := range addresses {
		if err := AddAddress(address); err != nil {
			return err
		}
	}
	route := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: mustNet(ServiceRange), Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}
	if len(addresses) > 0 {
		// Without this, a process of the lab would call a Service from the Service's own address.
		route.Src = addresses[0].AsSlice()
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("route of the Service range: %w", err)
	}
	return addVoid()
}

// AddAddress puts a node's address on the lab's loopback interface. One that is there already is no error.
func AddAddress(address netip.Addr) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	err = netlink.AddrAdd(lo, &netlink.Addr{IPNet: hostNet(address)})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("address %s: %w", address, err)
	}
	return nil
}

func addVoid() error {
	if _, err := netlink.LinkByName(voidName); err == nil {
		return nil
	}
	// A veth pair with no address resolution: each packet leaves with no receiver's address, and the other end drops
	// it as not its own. (The kernel's dummy interface does the same, where there is one.)
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: voidName}, PeerName: voidPeer}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("interface %s: %w", voidName, err)
	}
	for _, name := range []string{voidName, voidPeer} {
		end, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetARPOff(end); err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
		if err := netlink.LinkSetUp(end); err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
	}
	void, err := netlink.LinkByName(voidName)
	if err != nil {
		return err
	}
	route := &netlink.Route{LinkIndex: void.Attrs().Index, Dst: mustNet(PodRange), Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("route of the pod range: %w", err)
	}
	return nil
}

func hostNet(address netip.Addr) *net.IPNet {
	return &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(32, 32)}
}

func mustNet(text string) *net.IPNet {
	_, network, err := net.ParseCIDR(text)
	if err != nil {
		panic(err)
	}
	return network
}
