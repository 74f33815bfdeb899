//go:build tools

// Package podinfo holds no code of its own: this import keeps podinfo's command in go.mod.
package podinfo

import _ "github.com/stefanprodan/podinfo/cmd/podinfo"
