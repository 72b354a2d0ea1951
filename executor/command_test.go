package executor

import (
	"io"
	"slices"
	"testing"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	image := imagesync.ImageConfig{Entrypoint: []string{"entry", "-x"}, Cmd: []string{"cmd"}}
	for name, tc := range map[string]struct {
		entrypoint *[]string
		args       []string
		image      imagesync.ImageConfig
		want       []string
	}{
		"the image's own":               {image: image, want: []string{"entry", "-x", "cmd"}},
		"arguments replace the command": {args: []string{"a"}, image: image, want: []string{"entry", "-x", "a"}},
		"an entrypoint drops both":      {entrypoint: &[]string{"mine"}, image: image, want: []string{"mine"}},
		"an empty entrypoint drops it":  {entrypoint: &[]string{}, args: []string{"sh", "-c", "x"}, image: image, want: []string{"sh", "-c", "x"}},
		"an image without entrypoint":   {args: []string{"a"}, image: imagesync.ImageConfig{Cmd: []string{"cmd"}}, want: []string{"a"}},
		"nothing":                       {want: []string{}},
	} {
		got := command(schemas.JobSpec{Entrypoint: tc.entrypoint, Args: tc.args}, tc.image)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	if !slices.Equal(image.Entrypoint, []string{"entry", "-x"}) {
		t.Error("the image's configuration was changed")
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	image := imagesync.ImageConfig{Env: []string{"PATH=/image", "LANG=C", "EMPTY=", "broken", "=worse", "EQ=a=b"}}
	for name, tc := range map[string]struct {
		env   map[string]string
		image imagesync.ImageConfig
		want  []string
	}{
		"neither":       {want: []string{"PATH=" + defaultPath}}, // HOME is the guest's to know
		"the image's":   {image: image, want: []string{"EMPTY=", "EQ=a=b", "LANG=C", "PATH=/image"}},
		"the job's win": {env: map[string]string{"LANG": "de", "PATH": "/job", "NEW": ""}, image: image, want: []string{"EMPTY=", "EQ=a=b", "LANG=de", "NEW=", "PATH=/job"}},
	} {
		if got := environment(schemas.JobSpec{Env: tc.env}, tc.image); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestGuestJob(t *testing.T) {
	t.Parallel()
	text, coded := "in", "AAEC"
	spec := schemas.JobSpec{Args: []string{"true"}, Outputs: []string{"*.o"}}.WithDefaults()
	for name, tc := range map[string]struct {
		stdin *schemas.Stdin
		user  string
		want  guestproto.Stdin
		bytes string
		as    string
	}{
		"none":   {want: guestproto.Stdin{Via: guestproto.ViaNone}, as: "image"},
		"file":   {stdin: &schemas.Stdin{File: "a"}, want: guestproto.Stdin{Via: guestproto.ViaFile, Path: "a"}, as: "image"},
		"text":   {stdin: &schemas.Stdin{Text: &text}, want: guestproto.Stdin{Via: guestproto.ViaChannel}, bytes: "in", as: "image"},
		"base64": {stdin: &schemas.Stdin{Base64: &coded}, user: "1:2", want: guestproto.Stdin{Via: guestproto.ViaChannel}, bytes: "\x00\x01\x02", as: "1:2"},
	} {
		spec.Stdin, spec.User = tc.stdin, tc.user
		job := guestJob(spec, imagesync.ImageConfig{User: "image"})
		if err := job.Validate(); err != nil || job.Stdin != tc.want || job.User != tc.as || job.Limits.Log != schemas.StdioLog {
			t.Errorf("%s: %+v: %v", name, job, err)
		}
		if r := stdinBytes(tc.stdin); r != nil {
			got, err := io.ReadAll(r)
			if err != nil || string(got) != tc.bytes {
				t.Errorf("%s: stdin %q, %v", name, got, err)
			}
		} else if tc.bytes != "" {
			t.Errorf("%s: no stdin", name)
		}
	}
}
