package jobqueue_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
)

// TestUpdateAllWithAMessageLost: a batch of which the server got only a part is
// sent again, whole.
func TestUpdateAllWithAMessageLost(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	server.Gateway(t, nil) // makes the buckets
	lossy := &lossyServer{Server: server, lose: []byte("Nats-Batch-Sequence: 2\r\n")}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	q, err := jobqueue.Connect(ctx, jobqueue.Config{Server: lossy, User: "gateway", Password: "test", Synced: true})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	all := entries("", 5)
	if _, err := q.Jobs.UpdateAll(ctx, all); err != nil {
		t.Fatal(err)
	}
	if !lossy.lost.Load() {
		t.Fatal("no message was lost")
	}
	for _, e := range all {
		if got, err := q.Jobs.Get(ctx, e.Key); err != nil || !bytes.Equal(got.Value, e.Value) {
			t.Errorf("%s is %+v, %v", e.Key, got, err)
		}
	}
}

// lossyServer loses the first message that holds some bytes on its way to the server.
type lossyServer struct {
	*queuetest.Server
	lose []byte
	lost atomic.Bool
}

func (l *lossyServer) InProcessConn() (net.Conn, error) {
	c, err := l.Server.InProcessConn()
	return &lossyConn{Conn: c, server: l}, err
}

// lossyConn hands on what is written message by message.
type lossyConn struct {
	net.Conn
	server *lossyServer
	buffer []byte
}

func (c *lossyConn) Write(p []byte) (int, error) {
	c.buffer = append(c.buffer, p...)
	for {
		n := frameSize(c.buffer)
		if n == 0 {
			return len(p), nil
		}
		frame := c.buffer[:n]
		if !bytes.Contains(frame, c.server.lose) || !c.server.lost.CompareAndSwap(false, true) {
			if _, err := c.Conn.Write(frame); err != nil {
				return 0, err
			}
		}
		c.buffer = c.buffer[n:]
	}
}

// frameSize is the length of the first line, and of the message that it announces; 0 if it is not all there.
func frameSize(b []byte) int {
	line, _, whole := bytes.Cut(b, []byte("\r\n"))
	if !whole {
		return 0
	}
	n := len(line) + 2
	if words := bytes.Fields(line); len(words) > 2 && (string(words[0]) == "PUB" || string(words[0]) == "HPUB") {
		var size int
		if _, err := fmt.Sscan(string(words[len(words)-1]), &size); err != nil {
			return 0
		}
		n += size + 2
	}
	if n > len(b) {
		return 0
	}
	return n
}
