// One binary that holds a whole Kubernetes control plane: `bitgoeul-controlplane COMPONENT flags…`.
//
// Each component is the upstream command, unchanged. A component may also be named by argv[0], as busybox does it: the launcher
// starts it that way, so that process lists, logs and user agents show kube-apiserver and not the name of this binary.
//
// With BITGOEUL_LIFELINE=stdin a component lives as long as its standard input: when that ends, the launcher is gone (even by
// kill -9), and the component exits, after removing the folder BITGOEUL_TEMPORARY if one is named. One byte on standard input
// releases it: `bitgoeul up` writes that when all is ready, tests never do.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata" // CronJobs may name a time zone

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/signals"
)

const usage = "usage: bitgoeul-controlplane etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kwok|kubectl [flags]"

var components = map[string]func() int{
	"etcd":                    runEtcd,
	"kube-apiserver":          func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() int { return cli.Run(controllermanager.NewControllerManagerCommand()) },
	"kube-scheduler":          func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
	"kwok":                    runKwok,
	"kubectl":                 runKubectl,
}

func main() {
	name := filepath.Base(os.Args[0])
	if _, known := components[name]; !known && len(os.Args) > 1 {
		// Client libraries derive the user agent from os.Args[0]: it has to be the component's name, not ours.
		os.Args = os.Args[1:]
		name = os.Args[0]
	}
	run, known := components[name]
	if !known {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	// The short name that ps and top show; where it cannot be set, the binary's name stands there.
	_ = os.WriteFile("/proc/self/comm", []byte(name), 0)
	if os.Getenv("BITGOEUL_LIFELINE") == "stdin" {
		go endWithStdin()
	}
	os.Exit(run())
}

func endWithStdin() {
	// A single byte at a time: the pipe is shared by all components, and each takes its own.
	if n, _ := os.Stdin.Read(make([]byte, 1)); n == 1 {
		return
	}
	if folder := os.Getenv("BITGOEUL_TEMPORARY"); folder != "" {
		_ = os.RemoveAll(folder)
	}
	os.Exit(1)
}

func runEtcd() int {
	etcdmain.Main(os.Args) // exits by itself on an error
	return 0
}

// runKwok does what kwok's own main does: its command takes configuration and logger from the context.
func runKwok() int {
	// Kubernetes registers a --version of another type among the process-wide flags, which kwok's command would take for its own.
	pflag.CommandLine = pflag.NewFlagSet(os.Args[0], pflag.ContinueOnError)
	flags := pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	ctx, _ := kwoklog.InitFlags(signals.SetupSignalContext(), flags)
	ctx, err := kwokconfig.InitFlags(ctx, flags)
	if err != nil {
		return failed(err)
	}
	command := kwok.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(flags)
	if err := command.ExecuteContext(ctx); err != nil {
		return failed(err)
	}
	return 0
}

func runKubectl() int {
	command := kubectl.NewDefaultKubectlCommand()
	if err := cli.RunNoErrOutput(command); err != nil {
		kubectlutil.CheckErr(err) // prints it as kubectl does, and exits
	}
	return 0
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "Error:", err)
	return 1
}
