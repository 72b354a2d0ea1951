package pool

import (
	"context"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// program is a machine that is a real process.
type program struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func startProgram(context.Context) (*program, error) {
	p := &program{exec.Command("cat"), make(chan struct{})}
	if _, err := p.cmd.StdinPipe(); err != nil { // its end, ours included, is the program's
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	return p, nil
}

func (p *program) Done() <-chan struct{} { return p.done }

func (p *program) Close() error {
	_ = p.cmd.Process.Kill() // or it has ended by itself
	<-p.done
	return nil
}

// taken waits until the pool has a machine to take.
func taken(t *testing.T, p *Pool[*program]) *program {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if m, ok := p.Take("cat"); ok {
			return m
		}
	}
	t.Fatalf("no machine: %+v", p.Stats())
	return nil
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	p := New[*program](Config{Budget: 1 << 30, Makers: 2, Pressure: MemoryPressure(1 << 20), Metrics: registry})
	defer p.Close()
	var first sync.Once
	p.Want(Kind[*program]{Key: "cat", Name: "cat", Min: 2, Max: 2, MachineBytes: 1 << 20, Make: func(ctx context.Context) (*program, error) {
		m, err := startProgram(ctx)
		if err == nil {
			first.Do(func() { _ = m.Close() })
		}
		return m, err
	}})
	var mine []*program
	for range 4 {
		m := taken(t, p)
		defer m.Close()
		mine = append(mine, m)
	}
	text := scrape(t, registry)
	for _, want := range []string{
		`pe_executor_pool_takes_total{kind="cat",result="hit"} 4`, `pe_executor_pool_failures_total{kind="cat"} 1`,
		`pe_executor_pool_ended_total{kind="cat",reason="died"} 1`, `pe_executor_pool_target{kind="cat"} 2`,
		`pe_executor_pool_budget_bytes 1.073741824e+09`, `pe_executor_pool_pressed 0`, `pe_executor_pool_waiting{kind="cat"} `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s:\n%s", want, text)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for _, m := range mine {
		select {
		case <-m.Done():
			t.Error("the pool ended a machine that was taken")
		default:
		}
	}
}
