package runtime

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestResolvConf(t *testing.T) {
	got := string(resolvConf(&runtimeapi.DNSConfig{Servers: []string{"10.96.0.10"}, Searches: []string{"a", "b"}, Options: []string{"ndots:5"}}))
	if want := "nameserver 10.96.0.10\nsearch a b\noptions ndots:5\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := resolvConf(nil); len(got) != 0 {
		t.Errorf("no configuration gave %q", got)
	}
}

func TestStandInPorts(t *testing.T) {
	for annotation, want := range map[string][]int{
		"":   nil,
		"[]": nil,
		`[{"containerPort":80,"protocol":"TCP"},{"containerPort":53,"protocol":"UDP"},{"containerPort":8080},{"containerPort":80}]`: {80, 8080},
	} {
		got, err := standInPorts(annotation)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s gave %v, %v; want %v", annotation, got, err, want)
		}
	}
	if _, err := standInPorts("80"); err == nil {
		t.Error("a number was taken for a list")
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("PATH", "/host/bin")
	c := &container{
		sandbox: &sandbox{config: &runtimeapi.PodSandboxConfig{Hostname: "web-1"}},
		config: &runtimeapi.ContainerConfig{Envs: []*runtimeapi.KeyValue{
			{Key: "A", Value: "1"}, {Key: "HOME", Value: "/data"}, {Key: "A", Value: "2"},
		}},
	}
	got := c.environment()
	if want := []string{"PATH=/host/bin", "HOME=/data", "HOSTNAME=web-1", "A=2"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDial(t *testing.T) {
	seven := uint64(7)
	for _, c := range []struct {
		id     string
		dialed *uint64
		first  bool
		want   uint64
	}{
		{"no dial", nil, true, 3},
		{"dial, first container", &seven, true, 7},
		{"dial, another container", &seven, false, 0},
	} {
		if got := dial(3, c.dialed, c.first); got != c.want {
			t.Errorf("%s: %d, want %d", c.id, got, c.want)
		}
	}
}

func TestMatches(t *testing.T) {
	labels := map[string]string{"a": "1", "b": ""}
	for _, c := range []struct {
		selector map[string]string
		want     bool
	}{{nil, true}, {map[string]string{"a": "1"}, true}, {map[string]string{"a": "2"}, false}, {map[string]string{"c": ""}, false}, {map[string]string{"b": ""}, true}} {
		if got := matches(c.selector, labels); got != c.want {
			t.Errorf("%v: %v", c.selector, got)
		}
	}
}

func TestUnescape(t *testing.T) {
	if got := unescape(`/a\040b\134c`); got != `/a b\c` {
		t.Errorf("got %q", got)
	}
}

func TestFanout(t *testing.T) {
	f := &fanout{}
	write := func(text string) {
		t.Helper()
		if n, err := f.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
	}
	write("before anybody is attached")
	slow := f.attach()
	for range listenerQueue {
		write("x")
	}
	gone := f.attach()
	f.detach(gone)
	write("one more than the slow listener's queue holds")
	received := ""
	for text := range slow.queue { // closed, or this would wait for ever
		received += string(text)
	}
	if received != strings.Repeat("x", listenerQueue) {
		t.Errorf("the slow listener got %d bytes", len(received))
	}
	last := f.attach()
	write("end")
	f.close()
	if text := <-last.queue; string(text) != "end" {
		t.Errorf("got %q", text)
	}
	late := f.attach()
	for _, l := range []*listener{last, late, gone} {
		if _, open := <-l.queue; open {
			t.Error("a listener of an ended stream waits")
		}
	}
}

func TestLimitedReadsToTheEnd(t *testing.T) {
	read, write := io.Pipe()
	go func() {
		_, _ = write.Write(bytes.Repeat([]byte("x"), 1000))
		write.Close()
	}()
	var l limited
	l.readFrom(read)
	if len(l.bytes()) != 1000 {
		t.Errorf("kept %d bytes", len(l.bytes()))
	}
}
