// Package dns runs CoreDNS with the few plugins that a lab needs: the names of Services and pods, and nothing else.
package dns

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"text/template"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"

	// The plugins of the Corefile below.
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/template"
)

// corefile answers the cluster's names from the API server, and NXDOMAIN to all others: there is no network outside
// the lab to ask. A pod's lookup of an outer name then fails at once.
var corefile = template.Must(template.New("").Parse(`.:53 {
    bind {{.Listen}}
    errors
    kubernetes {{.Domain}} in-addr.arpa {
        kubeconfig {{.Kubeconfig}}
        pods insecure
        ttl 30
        fallthrough in-addr.arpa
    }
    template ANY ANY {
        rcode NXDOMAIN
    }
}
`))

// directives is the order in which plugins see a question.
var directives = []string{"bind", "errors", "kubernetes", "template"}

type options struct{ Listen, Domain, Kubeconfig string }

// Run serves until SIGTERM. It returns only errors.
func Run(args []string) error {
	flags := flag.NewFlagSet("dns", flag.ContinueOnError)
	var o options
	flags.StringVar(&o.Kubeconfig, "kubeconfig", "", "credential that may list and watch Services, EndpointSlices, pods and namespaces")
	flags.StringVar(&o.Listen, "listen", "", "address to answer on, port 53, UDP and TCP")
	flags.StringVar(&o.Domain, "domain", "cluster.local", "the cluster's domain")
	if err := flags.Parse(args); err != nil {
		return err
	}
	content, err := o.corefile()
	if err != nil {
		return err
	}
	caddy.Quiet = true
	dnsserver.Quiet = true
	dnsserver.Directives = directives
	caddy.TrapSignals()
	instance, err := caddy.Start(caddy.CaddyfileInput{Contents: content, Filepath: "Corefile", ServerTypeName: "dns"})
	if err != nil {
		return err
	}
	instance.Wait()
	return nil
}

func (o options) corefile() ([]byte, error) {
	if net.ParseIP(o.Listen) == nil {
		return nil, fmt.Errorf("--listen %q is no address", o.Listen)
	}
	path, err := filepath.Abs(o.Kubeconfig)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	o.Kubeconfig = path
	var content bytes.Buffer
	if err := corefile.Execute(&content, o); err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}
