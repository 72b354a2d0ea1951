package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// qmpMaxMessage bounds one message from QEMU, in bytes. The largest that we ask
// for are under 1 KiB.
const qmpMaxMessage = 256 << 10

// qmpTimeout bounds a command whose caller's context has no deadline.
const qmpTimeout = 10 * time.Second

// qmpMessage is anything that QEMU sends: a greeting, a reply or an event.
type qmpMessage struct {
	Greeting json.RawMessage `json:"QMP"`
	Event    string          `json:"event"`
	Data     json.RawMessage `json:"data"`
	ID       *uint64         `json:"id"`
	Return   json.RawMessage `json:"return"`
	Error    *qmpError       `json:"error"`
}

// qmpError is QEMU's answer to a command that it refused.
type qmpError struct {
	Class string `json:"class"`
	Desc  string `json:"desc"`
}

func (e *qmpError) Error() string { return fmt.Sprintf("qemu says: %.200q", e.Desc) }

// qmp is a client of QEMU's monitor. QEMU is not trusted: a wrong or endless
// answer costs this connection and no more. Safe for concurrent use.
type qmp struct {
	conn    net.Conn
	onEvent func(name string, data json.RawMessage)
	greeted chan struct{} // closed at the greeting
	done    chan struct{} // closed when nothing more can be read

	writing chan struct{} // a token: whoever holds it may write

	mu      sync.Mutex
	err     error // why done is closed
	lastID  uint64
	waiting map[uint64]chan qmpMessage
}

// newQMP reads from conn until it is closed. onEvent is called from that reader
// and must not wait for a command.
func newQMP(conn net.Conn, onEvent func(string, json.RawMessage)) *qmp {
	q := &qmp{
		conn: conn, onEvent: onEvent,
		greeted: make(chan struct{}), done: make(chan struct{}),
		writing: make(chan struct{}, 1), waiting: map[uint64]chan qmpMessage{},
	}
	go q.read()
	return q
}

// negotiate waits for the greeting and leaves capability negotiation, before
// which QEMU takes no other command.
func (q *qmp) negotiate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, qmpTimeout)
	defer cancel()
	select {
	case <-q.greeted:
	case <-q.done:
		return fmt.Errorf("await QMP greeting: %w", q.failure())
	case <-ctx.Done():
		return fmt.Errorf("await QMP greeting: %w", context.Cause(ctx))
	}
	return q.execute(ctx, "qmp_capabilities", nil)
}

// execute runs one command and waits for its reply. A refusal is a *qmpError.
func (q *qmp) execute(ctx context.Context, command string, arguments any) error {
	_, err := q.ask(ctx, command, arguments, nil)
	return err
}

// ask is execute for a command that has an answer, or that a file goes with.
func (q *qmp) ask(ctx context.Context, command string, arguments any, file *os.File) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, qmpTimeout)
	defer cancel()
	id, reply := q.expect()
	defer q.forget(id)
	if err := q.send(ctx, id, command, arguments, file); err != nil {
		return nil, fmt.Errorf("send QMP %s: %w", command, err)
	}
	select {
	case m := <-reply:
		if m.Error != nil {
			return nil, fmt.Errorf("execute QMP %s: %w", command, m.Error)
		}
		return m.Return, nil
	case <-q.done:
		return nil, fmt.Errorf("execute QMP %s: %w", command, q.failure())
	case <-ctx.Done():
		return nil, fmt.Errorf("execute QMP %s: %w", command, context.Cause(ctx))
	}
}

func (q *qmp) expect() (uint64, chan qmpMessage) {
	reply := make(chan qmpMessage, 1)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lastID++
	q.waiting[q.lastID] = reply
	return q.lastID, reply
}

func (q *qmp) forget(id uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.waiting, id)
}

func (q *qmp) send(ctx context.Context, id uint64, command string, arguments any, file *os.File) error {
	b, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        uint64 `json:"id"`
	}{command, arguments, id})
	if err != nil {
		return err
	}
	select {
	case q.writing <- struct{}{}:
		defer func() { <-q.writing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	deadline, _ := ctx.Deadline()
	if err := q.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	return writeWith(q.conn, append(b, '\n'), file)
}

func (q *qmp) read() {
	err := decodeQMP(q.conn, q.dispatch)
	if err == nil {
		err = io.EOF
	}
	q.mu.Lock()
	q.err = err
	q.mu.Unlock()
	close(q.done)
	_ = q.conn.Close() // after a wrong message nothing on it can be trusted
}

func (q *qmp) failure() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

func (q *qmp) dispatch(m qmpMessage) error {
	switch {
	case m.Greeting != nil:
		select {
		case <-q.greeted:
			return errors.New("QMP greeted twice")
		default:
			close(q.greeted)
		}
	case m.Event != "":
		q.onEvent(m.Event, m.Data)
	case m.ID != nil:
		q.answer(*m.ID, m)
	default:
		// A reply without our id answers a command that QEMU could not parse.
		return fmt.Errorf("QMP message is no greeting, event or answer: %v", m.Error)
	}
	return nil
}

// answer gives a reply to whoever waits. One that nobody awaits is late: its
// command has timed out.
func (q *qmp) answer(id uint64, m qmpMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if reply, ok := q.waiting[id]; ok {
		delete(q.waiting, id)
		reply <- m
	}
}

// decodeQMP calls each for every message in r, one to a line as QEMU writes
// them, until r ends or a message is wrong or too long.
func decodeQMP(r io.Reader, each func(qmpMessage) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, qmpMaxMessage)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var m qmpMessage
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return fmt.Errorf("decode QMP message: %w", err)
		}
		if err := each(m); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read QMP: %w", err)
	}
	return nil
}
