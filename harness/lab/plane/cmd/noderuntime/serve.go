package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"taintlab.dev/plane/internal/dials"
	"taintlab.dev/plane/internal/nodespec"
	"taintlab.dev/plane/internal/programs"
	"taintlab.dev/plane/internal/runtime"
)

// serve is the container runtime of one node. It ends on SIGTERM or SIGINT, and its containers with it.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	file := flags.String("node", "", "the node's file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	node, err := nodespec.Read(*file)
	if err != nil {
		return err
	}
	table, err := programs.Read(node.Programs)
	if err != nil {
		return err
	}
	listener, err := listen(node.RuntimeSocket)
	if err != nil {
		return err
	}
	figures := dials.NewReader(node.DialsFile(), func(err error) { log.Print(err) })
	service, err := runtime.New(node, table, figures)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(logFailures), grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))
	runtimeapi.RegisterRuntimeServiceServer(server, service)
	runtimeapi.RegisterImageServiceServer(server, runtime.NewImages(node, table))

	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ended
		server.Stop()
	}()
	log.Printf("node %s: container runtime on %s, pods in %s", node.Name, node.RuntimeSocket, node.PodCIDR)
	return server.Serve(listener)
}

// maxMessage is the largest CRI message, as the kubelet has it.
const maxMessage = 16 << 20

// listen takes the socket over from a runtime which is dead; one that answers is an error.
func listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if connection, err := net.DialTimeout("unix", path, time.Second); err == nil {
		connection.Close()
		return nil, fmt.Errorf("a container runtime is serving %s already", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return net.Listen("unix", path)
}

// logFailures leaves a line of each call that failed, for the one who reads the runtime's log.
func logFailures(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	response, err := handler(ctx, request)
	// The kubelet asks for containers that it has just removed; that is its way, not a failure.
	if code := status.Code(err); err != nil && code != codes.NotFound && code != codes.Unimplemented {
		log.Printf("%s: %v", info.FullMethod, err)
	}
	return response, err
}
