// Package watch runs a small controller: look at everything, act, look again when something has changed.
package watch

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// An action that failed is done again after so long.
const again = time.Second

// Client is what the file of a kubeconfig leads to.
func Client(kubeconfig string) (*kubernetes.Clientset, error) {
	config, err := read(kubeconfig)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// Dynamic is the same for kinds that are no part of Kubernetes.
func Dynamic(kubeconfig string) (*dynamic.DynamicClient, error) {
	config, err := read(kubeconfig)
	if err != nil {
		return nil, err
	}
	return dynamic.NewForConfig(config)
}

func read(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	// One node, a handful of objects: limits of a client's own would only slow a test down.
	config.QPS = -1
	return config, nil
}

// Run calls act at the beginning and after every change, one call at a time, until the context ends. Changes that come while it
// acts are one more call.
func Run(ctx context.Context, factory informers.SharedInformerFactory, watched []cache.SharedIndexInformer, act func() error) error {
	changed := make(chan struct{}, 1)
	mark := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for _, informer := range watched {
		handler := cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { mark() },
			UpdateFunc: func(any, any) { mark() },
			DeleteFunc: func(any) { mark() },
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	mark()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			if err := act(); err != nil {
				fmt.Println(err)
				time.AfterFunc(again, mark)
			}
		}
	}
}
