//go:build linux

// Command guest is process 1 of the machine whose power is cut: it mounts the
// machine's disk, gives it a network and runs what the host asks for, for ever.
// It has no way to end the machine in order.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

// Orders is what the host wants to be run, in [ordersFile].
type Orders struct {
	// Commands are started in this order.
	Commands [][]string `json:"commands"`
	// Unsynced is a folder below which fsync does nothing and reports success;
	// empty for none.
	Unsynced string `json:"unsynced"`
}

const ordersFile = "/orders.json"

func main() {
	err := run()
	fmt.Println("guest:", err)
	select {} // the host sees no answer, and this line on the console
}

// run returns only if something went wrong.
func run() error {
	orders, err := readOrders()
	if err != nil {
		return err
	}
	if err := setUp(); err != nil {
		return err
	}
	if err := network(); err != nil {
		return err
	}
	ended := make(chan error)
	start := start
	if orders.Unsynced != "" {
		if start, err = unsynced(orders.Unsynced); err != nil {
			return err
		}
	}
	for _, argv := range orders.Commands {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.Env = []string{"HOME=/", "PATH=/", "TMPDIR=/tmp"}
		if err := start(cmd); err != nil {
			return err
		}
		go func() { ended <- fmt.Errorf("%s ended: %w", argv[0], cmd.Wait()) }()
	}
	return <-ended
}

func start(cmd *exec.Cmd) error { return cmd.Start() }

func readOrders() (o Orders, err error) {
	text, err := os.ReadFile(ordersFile)
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err != nil {
		return o, fmt.Errorf("read orders: %w", err)
	}
	return o, nil
}
