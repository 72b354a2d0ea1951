package e2e

import (
	"io"
	"net"
	"sync"
	"testing"
)

// door is an address at which nothing listens until it is opened; then it leads to another.
type door struct {
	address, behind string
	listener        net.Listener
	through         sync.WaitGroup
}

// closedDoor makes one and shuts it when the test, and all that was started after it, has ended.
func closedDoor(t *testing.T, behind string) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &door{address: l.Addr().String(), behind: behind}
	t.Cleanup(func() {
		if d.listener != nil {
			d.listener.Close()
			d.through.Wait()
		}
	})
	return d
}

func (d *door) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	d.listener = l
	d.through.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			d.through.Go(func() { d.pass(conn) })
		}
	})
}

// pass ends when either side does.
func (d *door) pass(conn net.Conn) {
	defer conn.Close()
	other, err := net.Dial("tcp", d.behind)
	if err != nil {
		return
	}
	defer other.Close()
	d.through.Go(func() {
		io.Copy(other, conn)
		other.Close()
	})
	io.Copy(conn, other)
}
