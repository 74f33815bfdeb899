package runtime

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"taintlab.dev/plane/internal/cri"
	"taintlab.dev/plane/internal/nodespec"
	"taintlab.dev/plane/internal/programs"
)

// imageIDPrefix marks the id of an image: there is no content to take a digest of.
const imageIDPrefix = "taintlab/"

func imageID(reference string) string {
	return imageIDPrefix + strings.TrimPrefix(reference, imageIDPrefix)
}

// Images implements the CRI's ImageService: every image is present, as soon as somebody asks for it.
type Images struct {
	runtimeapi.UnimplementedImageServiceServer

	node  *nodespec.Node
	table programs.Table

	mu   sync.Mutex
	seen map[string]bool
}

// NewImages makes the service.
func NewImages(node *nodespec.Node, table programs.Table) *Images {
	return &Images{node: node, table: table, seen: map[string]bool{}}
}

func (s *Images) image(reference string) *runtimeapi.Image {
	reference = strings.TrimPrefix(reference, imageIDPrefix)
	s.mu.Lock()
	s.seen[reference] = true
	s.mu.Unlock()
	return s.describe(reference)
}

func (s *Images) describe(reference string) *runtimeapi.Image {
	// A size of zero would be refused by the kubelet.
	image := &runtimeapi.Image{Id: imageID(reference), Size: 1, RepoTags: []string{reference}, Uid: &runtimeapi.Int64Value{Value: cri.ImageUser}, Spec: &runtimeapi.ImageSpec{Image: reference}}
	if choice, err := s.table.Resolve(reference, nil, nil); err == nil && !choice.IsStandIn() {
		if info, err := os.Stat(choice.Argv[0]); err == nil {
			image.Size = uint64(info.Size())
		}
	}
	return image
}

// ListImages implements the CRI: the images that were asked for.
func (s *Images) ListImages(_ context.Context, request *runtimeapi.ListImagesRequest) (*runtimeapi.ListImagesResponse, error) {
	s.mu.Lock()
	var references []string
	for reference := range s.seen {
		references = append(references, reference)
	}
	s.mu.Unlock()
	slices.Sort(references)
	wanted := strings.TrimPrefix(request.GetFilter().GetImage().GetImage(), imageIDPrefix)
	response := &runtimeapi.ListImagesResponse{}
	for _, reference := range references {
		if wanted == "" || wanted == reference {
			response.Images = append(response.Images, s.describe(reference))
		}
	}
	return response, nil
}

// ImageStatus implements the CRI.
func (s *Images) ImageStatus(_ context.Context, request *runtimeapi.ImageStatusRequest) (*runtimeapi.ImageStatusResponse, error) {
	return &runtimeapi.ImageStatusResponse{Image: s.image(request.GetImage().GetImage())}, nil
}

// PullImage implements the CRI; it takes no time and no credentials.
func (s *Images) PullImage(_ context.Context, request *runtimeapi.PullImageRequest) (*runtimeapi.PullImageResponse, error) {
	return &runtimeapi.PullImageResponse{ImageRef: s.image(request.GetImage().GetImage()).GetId()}, nil
}

// RemoveImage implements the CRI; the image is there again when it is asked for.
func (s *Images) RemoveImage(_ context.Context, request *runtimeapi.RemoveImageRequest) (*runtimeapi.RemoveImageResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.seen, strings.TrimPrefix(request.GetImage().GetImage(), imageIDPrefix))
	return &runtimeapi.RemoveImageResponse{}, nil
}

// ImageFsInfo implements the CRI. Without an answer the kubelet would never look at any pressure at all.
func (s *Images) ImageFsInfo(context.Context, *runtimeapi.ImageFsInfoRequest) (*runtimeapi.ImageFsInfoResponse, error) {
	usage := []*runtimeapi.FilesystemUsage{{
		Timestamp: time.Now().UnixNano(), FsId: &runtimeapi.FilesystemIdentifier{Mountpoint: s.node.LayersDir()},
		UsedBytes: &runtimeapi.UInt64Value{}, InodesUsed: &runtimeapi.UInt64Value{},
	}}
	return &runtimeapi.ImageFsInfoResponse{ImageFilesystems: usage, ContainerFilesystems: usage}, nil
}
