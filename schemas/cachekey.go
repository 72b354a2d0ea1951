package schemas

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
)

// cacheKeyVersion changes whenever what a key is made of does, or what the same
// specification means.
const cacheKeyVersion = 1

// cacheKeyPattern is of [Record.CacheKey].
var cacheKeyPattern = regexp.MustCompile(`^[0-9]{1,19}\.[0-9a-f]{64}$`)

// canonicalJob is all that can change a job's result, each thing said in one
// way alone. What is not in it can't: when the job is run, how it is called,
// and who is told.
type canonicalJob struct {
	Version int `json:"v"`
	// Image with its reference: executors prepare an image by that, not by its digest.
	Image      ImageRef          `json:"image"`
	Prepared   string            `json:"prepared"`
	Entrypoint *[]string         `json:"entrypoint"`
	Args       []string          `json:"args,omitempty"`
	Env        map[string]string `json:"env,omitempty"`
	Cwd        string            `json:"cwd"`
	User       string            `json:"user"`
	Stdin      *canonicalStdin   `json:"stdin"`
	Files      []canonicalFile   `json:"files"`
	Outputs    []string          `json:"outputs,omitempty"`
	Limits     Limits            `json:"limits"`
	Requires   Requires          `json:"requires"`
}

// canonicalFile is a file by its absolute path and its content's digest.
type canonicalFile struct {
	Path   string `json:"path"`
	Mode   string `json:"mode"`
	SHA256 string `json:"sha256"`
}

// canonicalStdin tells a file from a pipe: a program can, too.
type canonicalStdin struct {
	File   string `json:"file,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

// CacheHash is the job's name in the cache of results, 64 hex digits: the same
// for two jobs whose results could be exchanged. The specification is valid and
// names an architecture; image is what its image was resolved to, and prepared
// stands for what is done to the image before its jobs run, if anything is.
func (s JobSpec) CacheHash(image ImageRef, prepared string) (string, error) {
	s = s.WithDefaults()
	files, err := canonicalFiles(s)
	if err != nil {
		return "", err
	}
	stdin, err := canonicalInput(s)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(canonicalJob{
		Version: cacheKeyVersion, Image: image, Prepared: prepared,
		Entrypoint: s.Entrypoint, Args: s.Args, Env: s.Env, Cwd: s.Cwd, User: s.User, Stdin: stdin, Files: files,
		Outputs: slices.Compact(slices.Sorted(slices.Values(s.Outputs))),
		Limits:  s.Limits, Requires: s.Requires.Canonical(),
	})
	if err != nil {
		return "", fmt.Errorf("encode job for the cache: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

func canonicalFiles(s JobSpec) ([]canonicalFile, error) {
	files := make([]canonicalFile, 0, len(s.Files))
	for key, f := range s.Files {
		digest, err := contentDigest(f.Text, f.Base64, f.SHA256)
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", key, err)
		}
		files = append(files, canonicalFile{Path: s.absolute(key), Mode: canonicalMode(f.Mode), SHA256: digest})
	}
	slices.SortFunc(files, func(a, b canonicalFile) int { return cmp.Compare(a.Path, b.Path) })
	return files, nil
}

func canonicalInput(s JobSpec) (*canonicalStdin, error) {
	switch {
	case s.Stdin == nil:
		return nil, nil
	case s.Stdin.File != "":
		return &canonicalStdin{File: s.absolute(s.Stdin.File)}, nil
	}
	digest, err := contentDigest(s.Stdin.Text, s.Stdin.Base64, "")
	if err != nil {
		return nil, fmt.Errorf("stdin: %w", err)
	}
	return &canonicalStdin{SHA256: digest}, nil
}

// absolute is where a file lies that files or stdin name.
func (s JobSpec) absolute(name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(s.Cwd, name)
}

// contentDigest is the same for a content whichever way it came.
func contentDigest(text, encoded *string, digest string) (string, error) {
	var data []byte
	switch {
	case digest != "":
		return digest, nil
	case encoded != nil:
		var err error
		if data, err = base64.StdEncoding.DecodeString(*encoded); err != nil {
			return "", fmt.Errorf("decode base64: %w", err)
		}
	case text != nil:
		data = []byte(*text)
	}
	sum := sha256.Sum256(data)
	return Digest(sum[:]), nil
}

// canonicalMode has four digits.
func canonicalMode(mode string) string {
	switch len(mode) {
	case 0:
		return DefaultMode
	case 3:
		return "0" + mode
	}
	return mode
}
