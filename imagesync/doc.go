// Package imagesync turns an image reference into a verified, flattened EROFS
// file in a local cache.
//
// In a job's life it appears twice. At submission the gateway calls a
// [Resolver], once, so that what runs is a digest and not a moving tag. Before
// a run the executor calls [Cache.Get], which pulls that digest from a registry,
// an OCI layout folder, a docker archive or the imported images, checks every
// byte against its digest, flattens the layers and writes one EROFS file,
// the same bytes each time for the same image.
//
// Everything that a registry or an archive says is hostile: sizes are capped
// ([flatten.Limits]), digests are checked while streaming, and registry traffic
// cannot reach internal addresses. The package knows nothing of queues, jobs
// or machines.
package imagesync
