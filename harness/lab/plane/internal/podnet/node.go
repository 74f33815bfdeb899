package podnet

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"taintlab.dev/plane/internal/netns"
)

// gateway is the address of the lab's end of every pod's interface, the same for all: it is only ever asked for
// from inside the pod. edgeAddress is the far end of a node's own interface.
var (
	gateway     = netip.MustParseAddr("169.254.1.1")
	edgeAddress = netip.MustParseAddr("169.254.1.2")
)

// Node is one node's part of the network. Its pods' range is reachable as long as the Node is: the route leads
// through an interface whose other end only this process holds.
type Node struct {
	address netip.Addr
	edge    *os.File
}

// NewNode ties a node to the lab's namespace, which the calling process is in. Addresses of its range that no pod
// has are answered with "host unreachable", as a living machine does; once this process is gone they are not
// answered at all (see Up).
func NewNode(index int, address netip.Addr, pods netip.Prefix) (*Node, error) {
	edge, err := netns.New()
	if err != nil {
		return nil, err
	}
	node := &Node{address: address, edge: edge}
	name := fmt.Sprintf("node%d", index)
	if err := connect(edge, name, edgeAddress); err != nil {
		edge.Close()
		return nil, err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: prefixNet(pods), Gw: edgeAddress.AsSlice(), Flags: int(netlink.FLAG_ONLINK), Src: address.AsSlice()}
	if err := netlink.RouteReplace(route); err != nil {
		return nil, fmt.Errorf("route of %s: %w", pods, err)
	}
	err = netns.Do(edge, func() error {
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{Dst: prefixNet(pods), Type: unix.RTN_UNREACHABLE})
	})
	if err != nil {
		return nil, fmt.Errorf("route of unused pod addresses: %w", err)
	}
	return node, nil
}

// Pod makes the network namespace of one pod, with the address on eth0 and all traffic routed through the lab's
// namespace. Interfaces of an earlier owner of the address are removed.
func (n *Node) Pod(address netip.Addr) (*os.File, error) {
	namespace, err := netns.New()
	if err != nil {
		return nil, err
	}
	name := interfaceName(address)
	if err := connect(namespace, name, address); err != nil {
		namespace.Close()
		return nil, err
	}
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: hostNet(address), Scope: netlink.SCOPE_LINK, Src: n.address.AsSlice()})
	}
	if err != nil {
		namespace.Close()
		return nil, fmt.Errorf("route of %s: %w", address, err)
	}
	return namespace, nil
}

// Release removes the interface of a pod's address; one that is gone already is no error.
func (n *Node) Release(address netip.Addr) error { return remove(interfaceName(address)) }

// connect makes the pair of interfaces between the lab's namespace and another one, and the addresses on both.
func connect(namespace *os.File, name string, address netip.Addr) error {
	// What a killed runtime leaves behind goes away by itself, but not at once.
	if err := remove(name); err != nil {
		return err
	}
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(namespace.Fd()))}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	outer, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(outer, &netlink.Addr{IPNet: hostNet(gateway)}); err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(outer); err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	return netns.Do(namespace, func() error { return inside(address) })
}

// inside sets up the far end; it runs in the pod's namespace.
func inside(address netip.Addr) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	eth0, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(eth0, &netlink.Addr{IPNet: hostNet(address)}); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(eth0); err != nil {
		return err
	}
	index := eth0.Attrs().Index
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: index, Dst: hostNet(gateway), Scope: netlink.SCOPE_LINK}); err != nil {
		return fmt.Errorf("route of the gateway: %w", err)
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: index, Gw: gateway.AsSlice()}); err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	return nil
}

func remove(name string) error {
	link, err := netlink.LinkByName(name)
	if _, missing := err.(netlink.LinkNotFoundError); missing {
		return nil
	}
	if err != nil {
		return err
	}
	if err := netlink.LinkDel(link); err != nil {
		return fmt.Errorf("remove interface %s: %w", name, err)
	}
	return nil
}

// interfaceName names the lab's end of a pod's interface after its address: at most 15 characters, and no two pods
// of a lab have the same.
func interfaceName(address netip.Addr) string {
	return "pod" + hex.EncodeToString(address.AsSlice())
}

func prefixNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), 32)}
}
