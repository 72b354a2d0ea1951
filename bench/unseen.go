package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/program-explorer/pe/schemas"
)

// source is a real library's, of which no warm-up knows anything: zlib, as
// Debian's archive has it.
type source struct{ archives, dir string }

// unseenFile is a file of it of some 2,000 lines, unseenFiles what it includes.
const unseenFile = "deflate.c"

var unseenFiles = []string{unseenFile, "deflate.h", "zutil.h", "zlib.h", "zconf.h"}

// unseenTurns: under emulation, each takes seconds.
const unseenTurns = 5

func compile(object string) []string { return []string{"gcc", "-O2", "-c", unseenFile, "-o", object} }

// unpack extracts the source, once.
func (s source) unpack(ctx context.Context) error {
	if _, err := os.Stat(s.dir); err == nil {
		return nil
	}
	found, err := filepath.Glob(filepath.Join(s.archives, "*.orig.tar.*"))
	if err != nil || len(found) == 0 {
		return errCannot{fmt.Errorf("no source in %s (make setup LEVEL=bench)", s.archives)}
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	return execute(ctx, "tar", "-xf", found[0], "-C", s.dir, "--strip-components=1", "--no-same-owner")
}

// job sends the files as inputs, and gets the object as output.
func (s source) job(b *box) contestant {
	const row = "work.unseen"
	spec := schemas.JobSpec{Image: "gcc", Args: compile("/output/deflate.o"), Requires: amd64}
	return contestant{
		rows: []string{row}, turns: unseenTurns,
		setup: func(ctx context.Context) (func() error, error) {
			if err := s.unpack(ctx); err != nil {
				return nil, err
			}
			files, err := s.files()
			if err != nil {
				return nil, err
			}
			spec.Files = files
			return b.setup(gccSpec)(ctx)
		},
		once: func(ctx context.Context) (sample, error) {
			l, err := b.life(ctx, spec)
			if err == nil && l.job.Result.OutputsTotal != 1 {
				err = errors.New("the job has no output")
			}
			return took(row, l.ms()), err
		},
	}
}

func (s source) files() (map[string]schemas.File, error) {
	files := make(map[string]schemas.File)
	for _, name := range unseenFiles {
		text, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			return nil, err
		}
		content := string(text)
		files[name] = schemas.File{Text: &content}
	}
	return files, nil
}

// podman compiles the same with the image's own compiler.
func (s source) podman(r rootfs) contestant {
	run := r.podmanRun(compile("/tmp/deflate.o"), "--volume="+s.dir+":/work", "--workdir=/work")
	c := command{argv: run}.contestant("podman.unseen", func(ctx context.Context) error {
		return errors.Join(s.unpack(ctx), r.unpack(ctx))
	})
	c.turns = unseenTurns
	return c
}

// bare compiles with this machine's compiler, if it has one.
func (s source) bare() contestant {
	run := command{argv: compile(filepath.Join(s.dir, "bare.o")), dir: s.dir}
	c := run.contestant("bare.unseen", s.unpack)
	c.turns = unseenTurns
	return c
}
