// Package podnet is the network of the lab: the addresses that nodes and pods have, the routes between them, and
// how each pod's own network namespace is tied to the lab's.
//
// Pods are routed, not bridged: replies then pass the lab's forwarding, and with it kube-proxy's translation of
// Service addresses. The lab's namespace stands for the network between all machines.
package podnet

import (
	"fmt"
	"net/netip"
	"sync"
)

// Pool hands out the addresses of one node's pod range. It is safe for concurrent use.
type Pool struct {
	prefix netip.Prefix

	mu   sync.Mutex
	used map[netip.Addr]bool
	// last is the address handed out last: the next one is looked for after it, so that an address comes back as
	// late as possible and connections of its last owner are not taken for the new one's.
	last netip.Addr
}

// NewPool is a pool of all addresses of an IPv4 range but its first (the range's own) and its last (broadcast).
func NewPool(prefix netip.Prefix) (*Pool, error) {
	prefix = prefix.Masked()
	if !prefix.Addr().Is4() || prefix.Bits() > 30 {
		return nil, fmt.Errorf("pod range %s: an IPv4 range of at least four addresses is needed", prefix)
	}
	return &Pool{prefix: prefix, used: map[netip.Addr]bool{}, last: prefix.Addr()}, nil
}

// Take hands out an address which nobody has. The error says that there is none.
func (p *Pool) Take() (netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for address := p.after(p.last); ; address = p.after(address) {
		if !p.used[address] {
			p.used[address] = true
			p.last = address
			return address, nil
		}
		if address == p.last {
			return netip.Addr{}, fmt.Errorf("pod range %s: all %d addresses are taken", p.prefix, len(p.used))
		}
	}
}

// after is the address that follows, from the end on to the beginning.
func (p *Pool) after(address netip.Addr) netip.Addr {
	next := address.Next()
	if !p.prefix.Contains(next) || !p.prefix.Contains(next.Next()) {
		return p.prefix.Addr().Next()
	}
	return next
}

// Return takes an address back; one that was not handed out is ignored.
func (p *Pool) Return(address netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.used, address)
}
