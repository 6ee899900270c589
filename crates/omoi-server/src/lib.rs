//! HTTP and Unix-socket surface: control routes, worker routes, model gateway
