package contained

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// TrialArg as first argument makes guestrd a program that tries to break one of its limits, named by the
// second: a host runs it as a job to see whether it enforces them.
const TrialArg = "trial"

// Trial tries it. It returns when it was not stopped.
func Trial(arguments []string) int {
	if len(arguments) != 1 {
		return 2
	}
	switch arguments[0] {
	case "rest":
		time.Sleep(time.Minute)
	case "wall":
		time.Sleep(time.Minute)
	case "cpu":
		for begin := time.Now(); time.Since(begin) < time.Minute; {
		}
	case "memory":
		return hoard()
	case "pids":
		return multiply()
	case "scratch":
		return write("/tmp/trial", 64<<20)
	case "output":
		return write("/output/trial", 8<<20)
	default:
		return 2
	}
	return 0
}

// hoard touches 256 MiB.
func hoard() int {
	var all [][]byte
	for range 256 {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		all = append(all, block)
	}
	return len(all) & 1
}

// multiply starts 64 processes, and says how many it could.
func multiply() int {
	for n := range 64 {
		_, err := syscall.ForkExec("/proc/self/exe", []string{"guestrd", TrialArg, "rest"}, &syscall.ProcAttr{Env: []string{"GOMAXPROCS=1"}})
		if err != nil {
			fmt.Println(strconv.Itoa(n))
			break
		}
	}
	time.Sleep(200 * time.Millisecond)
	return 0
}

// write writes as much as it can.
func write(path string, size int) int {
	f, err := os.Create(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i)
	}
	for range size >> 20 {
		if _, err := f.Write(block); err != nil {
			fmt.Fprintln(os.Stderr, err)
			time.Sleep(100 * time.Millisecond)
			return 1
		}
	}
	return 0
}
