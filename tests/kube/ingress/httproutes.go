package ingress

import (
	"context"
	"errors"
	"time"

	kinds "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// They are definitions of a project of its own, which a cluster may not have (https://gateway-api.sigs.k8s.io/reference/spec/).
var (
	gateways   = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
	httpRoutes = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
)

type parentReference struct {
	Namespace   string `json:"namespace,omitempty"`
	Name        string `json:"name"`
	SectionName string `json:"sectionName,omitempty"`
}

// As much of a Gateway as is needed to lead people in.
type gateway struct {
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		Listeners []struct {
			Name     string `json:"name"`
			Hostname string `json:"hostname"`
			TLS      struct {
				CertificateRefs []struct {
					Name string `json:"name"`
				} `json:"certificateRefs"`
			} `json:"tls"`
		} `json:"listeners"`
	} `json:"spec"`
}

// The same of an HTTPRoute.
type httpRouteObject struct {
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		ParentRefs []parentReference `json:"parentRefs"`
		Hostnames  []string          `json:"hostnames"`
		Rules      []struct {
			Matches []struct {
				Path struct {
					Type  string `json:"type"`
					Value string `json:"value"`
				} `json:"path"`
			} `json:"matches"`
			BackendRefs []struct {
				Name string `json:"name"`
				Port int32  `json:"port"`
			} `json:"backendRefs"`
		} `json:"rules"`
	} `json:"spec"`
}

type httpRoute struct {
	httpRouteObject
	// Of which only the status is written.
	whole *unstructured.Unstructured
	// Parents that lead people to it.
	accepted []parentReference
}

func (c *cluster) readHTTPRoutes(t *table) error {
	objects, err := c.httpRoutes.Lister().List(labels.Everything())
	if err != nil {
		return err
	}
	for _, object := range objects {
		one := &httpRoute{whole: object.(*unstructured.Unstructured)}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(one.whole.Object, &one.httpRouteObject); err != nil {
			return err
		}
		for _, parent := range one.Spec.ParentRefs {
			led, err := c.leadIn(t, one, parent)
			if err != nil {
				return err
			}
			if led {
				one.accepted = append(one.accepted, parent)
			}
		}
		if len(one.accepted) == 0 {
			continue
		}
		t.httpRoutes = append(t.httpRoutes, one)
		for _, rule := range one.Spec.Rules {
			for _, match := range rule.Matches {
				for _, backend := range rule.BackendRefs {
					for _, host := range one.Spec.Hostnames {
						to := route{host: host, path: match.Path.Value, exact: match.Path.Type == "Exact"}
						c.route(t, to, one.Namespace, backend.Name, backend.Port)
					}
				}
			}
		}
	}
	return nil
}

// Whether there is such a listener; its certificate is for the hosts of the route that it names, or for all of them.
func (c *cluster) leadIn(t *table, one *httpRoute, parent parentReference) (bool, error) {
	namespace := parent.Namespace
	if namespace == "" {
		namespace = one.Namespace
	}
	object, err := c.gateways.Lister().ByNamespace(namespace).Get(parent.Name)
	if kinds.IsNotFound(err) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	var found gateway
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.(*unstructured.Unstructured).Object, &found); err != nil {
		return false, err
	}
	led := false
	for _, listener := range found.Spec.Listeners {
		if parent.SectionName != "" && parent.SectionName != listener.Name {
			continue
		}
		led = true
		for _, host := range one.Spec.Hostnames {
			if listener.Hostname != "" && listener.Hostname != host {
				continue
			}
			for _, certificate := range listener.TLS.CertificateRefs {
				c.certify(t, []string{host}, found.Namespace, certificate.Name)
			}
		}
	}
	return led, nil
}

// Says in each HTTPRoute that people are led to it.
func (b *balancer) tellHTTPRoutes(ctx context.Context, all []*httpRoute) error {
	var failed []error
	for _, one := range all {
		known, _, _ := unstructured.NestedSlice(one.whole.Object, "status", "parents")
		parents := []any{}
		for _, parent := range known {
			// Somebody else's word stands.
			if parent.(map[string]any)["controllerName"] != b.controller() {
				parents = append(parents, parent)
			}
		}
		if len(known)-len(parents) == len(one.accepted) {
			continue
		}
		for _, parent := range one.accepted {
			reference, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&parent)
			if err != nil {
				return err
			}
			parents = append(parents, map[string]any{
				"parentRef": reference, "controllerName": b.controller(),
				"conditions": []any{map[string]any{
					"type": "Accepted", "status": "True", "reason": "Accepted", "message": "people are led to it",
					"observedGeneration": one.Generation, "lastTransitionTime": time.Now().UTC().Format(time.RFC3339),
				}},
			})
		}
		told := one.whole.DeepCopy()
		if err := unstructured.SetNestedSlice(told.Object, parents, "status", "parents"); err != nil {
			return err
		}
		_, err := b.dynamic.Resource(httpRoutes).Namespace(one.Namespace).UpdateStatus(ctx, told, meta.UpdateOptions{})
		if err != nil && !kinds.IsNotFound(err) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func (b *balancer) controller() string { return "klatch.dev/" + b.name }
