package standin

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"taintlab.dev/plane/internal/netns"
)

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func TestStandIn(t *testing.T) {
	own, err := netns.Own()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	if _, err := Start(own, "127.0.0.1", []int{port}, "web-1", io.Discard); err == nil {
		// Entering even the own namespace takes privileges that a test may not have.
		t.Error("a port in use was taken")
	} else if strings.Contains(err.Error(), "enter network namespace") {
		t.Skip(err)
	}
	free.Close()
	log := &buffer{}
	server, err := Start(own, "127.0.0.1", []int{port}, "web-1", log)
	if err != nil {
		t.Fatal(err)
	}
	url := "http://127.0.0.1:" + strconv.Itoa(port) + "/any/path"
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != http.StatusOK || string(body) != "web-1\n" {
		t.Errorf("got %d %q, %v", response.StatusCode, body, err)
	}
	server.Stop(context.Background())
	if _, err := http.Get(url); err == nil {
		t.Error("answers after it was stopped")
	}
	if got := log.b.String(); got != "GET /any/path\n" {
		t.Errorf("log %q", got)
	}
}
