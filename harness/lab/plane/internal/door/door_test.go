package door

import (
	"io"
	"net"
	"testing"
)

func TestParse(t *testing.T) {
	got, err := Parse("7=172.30.0.1:6443")
	if err != nil || got != (Door{FD: 7, To: "172.30.0.1:6443"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, text := range []string{"", "7", "x=1.2.3.4:5", "7=1.2.3.4"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q accepted", text)
		}
	}
}

// A client which ends its half first must still get the whole answer.
func TestHalfClose(t *testing.T) {
	server := listen(t)
	go func() {
		connection, err := server.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		question, _ := io.ReadAll(connection)
		_, _ = connection.Write(append([]byte("answer to "), question...))
	}()
	entry := listen(t)
	go func() {
		connection, err := entry.Accept()
		if err == nil {
			pass(connection, server.Addr().String())
		}
	}()
	client, err := net.Dial("tcp", entry.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(client)
	if err != nil || string(got) != "answer to question" {
		t.Errorf("got %q, %v", got, err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}
