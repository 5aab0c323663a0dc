// Package volumes gives each claim a folder of the node as a volume of kind `local`: kubelet sets the group of those, as it does
// with real disks and does not with `hostPath`.
package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	core "k8s.io/api/core/v1"
	kinds "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	informer "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"klatch.dev/tests/kube/watch"
)

// Provisioner is what a StorageClass names.
const Provisioner = "klatch.dev/local-folder"

type provisioner struct {
	client  kubernetes.Interface
	folder  string
	node    string
	claims  informer.PersistentVolumeClaimInformer
	volumes informer.PersistentVolumeInformer
}

// NewCommand is the part `local-volumes`.
func NewCommand() *cobra.Command {
	var kubeconfig, folder, node string
	command := &cobra.Command{
		Use: "local-volumes",
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := watch.Client(kubeconfig)
			if err != nil {
				return err
			}
			factory := informers.NewSharedInformerFactory(client, 0)
			p := provisioner{client, folder, node, factory.Core().V1().PersistentVolumeClaims(), factory.Core().V1().PersistentVolumes()}
			watched := []cache.SharedIndexInformer{p.claims.Informer(), p.volumes.Informer()}
			ctx := context.Background()
			return watch.Run(ctx, factory, watched, func() error { return p.act(ctx) })
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the apiserver")
	command.Flags().StringVar(&folder, "folder", "", "where the volumes' folders are made")
	command.Flags().StringVar(&node, "node", "", "name of the node whose folder that is")
	return command
}

func (p *provisioner) act(ctx context.Context) error {
	claims, err := p.claims.Lister().List(labels.Everything())
	if err != nil {
		return err
	}
	var failed []error
	for _, claim := range claims {
		if claim.Spec.VolumeName == "" && claim.Annotations["volume.kubernetes.io/storage-provisioner"] == Provisioner {
			failed = append(failed, p.provide(ctx, claim))
		}
	}
	volumes, err := p.volumes.Lister().List(labels.Everything())
	if err != nil {
		return err
	}
	for _, volume := range volumes {
		ours := volume.Annotations["pv.kubernetes.io/provisioned-by"] == Provisioner
		if ours && volume.Status.Phase == core.VolumeReleased && volume.Spec.PersistentVolumeReclaimPolicy == core.PersistentVolumeReclaimDelete {
			failed = append(failed, p.remove(ctx, volume))
		}
	}
	return errors.Join(failed...)
}

func (p *provisioner) provide(ctx context.Context, claim *core.PersistentVolumeClaim) error {
	name := "local-" + string(claim.UID)
	path := filepath.Join(p.folder, name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("volume of claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	_, err := p.client.CoreV1().PersistentVolumes().Create(ctx, p.volume(claim, name, path), meta.CreateOptions{})
	if err != nil && !kinds.IsAlreadyExists(err) {
		return fmt.Errorf("volume of claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return nil
}

func (p *provisioner) volume(claim *core.PersistentVolumeClaim, name, path string) *core.PersistentVolume {
	here := core.NodeSelectorTerm{MatchExpressions: []core.NodeSelectorRequirement{
		{Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{p.node}},
	}}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": Provisioner}},
		Spec: core.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      core.ResourceList{core.ResourceStorage: claim.Spec.Resources.Requests[core.ResourceStorage]},
			ClaimRef:                      &core.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			PersistentVolumeReclaimPolicy: core.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: path}},
			StorageClassName:              *claim.Spec.StorageClassName,
			NodeAffinity:                  &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{here}}},
		},
	}
}

func (p *provisioner) remove(ctx context.Context, volume *core.PersistentVolume) error {
	if err := os.RemoveAll(volume.Spec.Local.Path); err != nil {
		return fmt.Errorf("folder of volume %s: %w", volume.Name, err)
	}
	err := p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, meta.DeleteOptions{})
	if err != nil && !kinds.IsNotFound(err) {
		return fmt.Errorf("volume %s: %w", volume.Name, err)
	}
	return nil
}
