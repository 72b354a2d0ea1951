package schemas

// Blob is the body of the answer to PUT /v1/blobs/{sha256}: 201 if it was
// stored, 200 if it was there.
type Blob struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// OutputList is the body of GET /v1/jobs/{id}/outputs for who accepts
// application/json: all outputs, in the order of the tar, not only the
// [MaxListedOutputs] that the result has.
type OutputList struct {
	Outputs []Output `json:"outputs"`
}
