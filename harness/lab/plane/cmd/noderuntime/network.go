package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"strings"

	"taintlab.dev/plane/internal/door"
	"taintlab.dev/plane/internal/podnet"
)

// network makes the calling process's network namespace into a lab's, or adds an address to it.
func network(args []string) error {
	if len(args) == 2 && args[0] == "add-ip" {
		address, err := netip.ParseAddr(args[1])
		if err != nil {
			return err
		}
		return podnet.AddAddress(address)
	}
	if len(args) == 0 || args[0] != "up" {
		return errors.New("up --node-ips A,B,... or add-ip A is wanted")
	}
	flags := flag.NewFlagSet("network up", flag.ContinueOnError)
	list := flags.String("node-ips", "", "addresses of the lab's machines, separated by commas; the first is the caller's own when it calls Services")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	var addresses []netip.Addr
	for _, text := range strings.Split(*list, ",") {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("--node-ips: %w", err)
		}
		addresses = append(addresses, address)
	}
	return podnet.Up(addresses)
}

// doors passes connections on until one of the listening sockets fails.
func doors(args []string) error {
	flags := flag.NewFlagSet("door", flag.ContinueOnError)
	var list []door.Door
	flags.Func("door", "FD=HOST:PORT, repeatable", func(text string) error {
		d, err := door.Parse(text)
		list = append(list, d)
		return err
	})
	listenFD := flags.Int("listen-fd", -1, "an inherited listening socket")
	dial := flags.String("dial", "", "HOST:PORT for --listen-fd")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *listenFD >= 0 {
		d, err := door.Parse(fmt.Sprintf("%d=%s", *listenFD, *dial))
		if err != nil {
			return err
		}
		list = append(list, d)
	}
	if len(list) == 0 {
		return errors.New("no door is named")
	}
	failed := make(chan error)
	for _, d := range list {
		go func() { failed <- d.Serve() }()
	}
	return <-failed
}
