// Command guestrd is the only program of the guest ramdisk: process 1 of a machine, and
// the child that it starts for each job. It is also process 1 of a contained machine.
package main

import (
	"fmt"
	"os"

	"github.com/program-explorer/pe/guestrd/contained"
	"github.com/program-explorer/pe/guestrd/sandbox"
	"github.com/program-explorer/pe/guestrd/vminit"
)

// version is set by the linker.
var version = "dev"

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == sandbox.ChildArg:
		os.Exit(sandbox.Main())
	case len(os.Args) == 2 && os.Args[1] == sandbox.RehearsalArg:
		return
	case len(os.Args) >= 2 && os.Args[1] == contained.Arg:
		os.Exit(contained.Main(version, os.Args[2:]))
	case len(os.Args) >= 2 && os.Args[1] == contained.TrialArg:
		os.Exit(contained.Trial(os.Args[2:]))
	case len(os.Args) == 2 && os.Args[1] == "--version":
		fmt.Println(version)
	case os.Getpid() == 1:
		vminit.Run(version)
	default:
		fmt.Fprintln(os.Stderr, "guestrd is the init program of a guest and does nothing here")
		os.Exit(2)
	}
}
