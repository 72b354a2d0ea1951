package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// workFile is a file of the zstd library of some 7,000 lines, below its folder of sources.
const workFile = "compress/zstd_compress.c"

// workTurns: each compilation takes seconds, and a minute in a machine that is emulated and shares the host.
const workTurns = 3

func compileWork(object string) []string {
	return []string{"gcc", "-O2", "-c", workFile, "-o", object}
}

// works are the same compilation in every way to run a job, and by the image's own compiler on the bare host.
func works(b *box, r rootfs, s source) []contestant {
	all := []contestant{s.bareWork(r)}
	for _, isolation := range append([]string{schemas.IsolationVM}, contained...) {
		all = append(all, s.work(b, isolation))
	}
	return all
}

// work sends the file and all headers as inputs, and gets the object as output.
func (s source) work(b *box, isolation string) contestant {
	row := "work." + isolation
	spec := isolated(isolation, schemas.JobSpec{Image: "gcc", Args: compileWork("/output/work.o"), Requires: amd64})
	spec.Limits.WallMS = 600_000
	return contestant{
		rows: []string{row}, turns: workTurns,
		setup: b.withRuntimes(func(ctx context.Context) (undo func() error, err error) {
			if err := s.unpack(ctx); err != nil {
				return nil, err
			}
			if undo, err = b.setup(isolated(isolation, gccSpec))(ctx); err != nil {
				return undo, err
			}
			spec.Files, err = s.upload(ctx, b)
			return undo, err
		}),
		once: func(ctx context.Context) (sample, error) {
			l, err := b.life(ctx, spec)
			if err == nil && l.job.Result.OutputsTotal != 1 {
				err = errors.New("the job has no output")
			}
			return took(row, l.ms()), err
		},
	}
}

// library is the folder of the sources that are compiled.
func (s source) library() string { return filepath.Join(s.dir, "lib") }

func (s source) upload(ctx context.Context, b *box) (map[string]schemas.File, error) {
	files, err := producer.Files("", s.library())
	if err != nil {
		return nil, err
	}
	files = slices.DeleteFunc(files, func(f producer.LocalFile) bool {
		return f.Name != workFile && !strings.HasSuffix(f.Name, ".h")
	})
	return b.client.Upload(ctx, files, nil)
}

// bareWork compiles with the image's compiler, without any walls around it.
func (s source) bareWork(r rootfs) contestant {
	argv := append([]string{"chroot", r.dir, "env", "--chdir=/bench-work"}, compileWork("/bench-work/work.o")...)
	c := command{argv: argv}.contestant("work.bare", func(ctx context.Context) error {
		if err := errors.Join(s.unpack(ctx), r.unpack(ctx)); err != nil {
			return err
		}
		return os.CopyFS(filepath.Join(r.dir, "bench-work"), os.DirFS(s.library()))
	})
	c.turns = workTurns
	return c
}
