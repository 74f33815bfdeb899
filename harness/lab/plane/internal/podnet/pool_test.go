package podnet

import (
	"net/netip"
	"testing"
)

func TestPool(t *testing.T) {
	pool, err := NewPool(netip.MustParsePrefix("10.244.3.0/29"))
	if err != nil {
		t.Fatal(err)
	}
	take := func(want string) {
		t.Helper()
		got, err := pool.Take()
		if err != nil || got.String() != want {
			t.Errorf("took %v, %v; want %s", got, err, want)
		}
	}
	take("10.244.3.1")
	take("10.244.3.2")
	pool.Return(netip.MustParseAddr("10.244.3.1"))
	// An address that was given back is the last to be used again.
	for _, want := range []string{"10.244.3.3", "10.244.3.4", "10.244.3.5", "10.244.3.6", "10.244.3.1"} {
		take(want)
	}
	if got, err := pool.Take(); err == nil {
		t.Errorf("took %v from a full pool", got)
	}
	pool.Return(netip.MustParseAddr("10.244.3.4"))
	take("10.244.3.4")
}

func TestNewPoolRefuses(t *testing.T) {
	for _, prefix := range []string{"10.0.0.0/31", "fd00::/64"} {
		if _, err := NewPool(netip.MustParsePrefix(prefix)); err == nil {
			t.Errorf("%s accepted", prefix)
		}
	}
}

func TestInterfaceName(t *testing.T) {
	if got, want := interfaceName(netip.MustParseAddr("10.244.3.17")), "pod0af40311"; got != want || len(got) > 15 {
		t.Errorf("got %s, want %s", got, want)
	}
}
