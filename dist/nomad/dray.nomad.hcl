# A farm as a Nomad job: nomad job run -var image_tag=0.1.0 dray.nomad.hcl   (doc/packaging.md)
#
# Keys are Nomad variables below nomad/jobs/dray:
#     nomad var put nomad/jobs/dray/coordinator key=@coordinator pub=@coordinator.pub allowed_keys=@allowed-keys
#     nomad var put nomad/jobs/dray/worker key0=@worker-0 key1=@worker-1
# with a line in allowed-keys for each worker, by its name: worker-0, worker-1, …

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}

variable "registry" {
  type    = string
  default = "registry.example"
}

variable "image_tag" {
  type    = string
  default = "0.1.0"
}

variable "toolchains" {
  type        = string
  description = "a host volume with the clients' toolchains, one directory each"
  default     = "rust-toolchains"
}

variable "workers_max" {
  type        = number
  description = "no more than have keys"
  default     = 2
}

job "dray" {
  datacenters = var.datacenters
  type        = "service"

  group "coordinator" {
    count = 1

    network {
      port "dray" {
        static = 7420
        to     = 7420
      }
      port "page" {
        to = 7480
      }
    }

    service {
      name     = "dray-coordinator"
      provider = "nomad"
      port     = "dray"
      check {
        type     = "tcp"
        interval = "10s"
        timeout  = "2s"
      }
    }

    # /metrics, for Prometheus
    service {
      name     = "dray-page"
      provider = "nomad"
      port     = "page"
    }

    # its cache lives as long as it can; losing it costs compiles
    ephemeral_disk {
      size    = 40960
      sticky  = true
      migrate = true
    }

    task "coordinator" {
      driver       = "docker"
      kill_timeout = "15s"

      config {
        image           = "${var.registry}/dray-coordinator:${var.image_tag}"
        ports           = ["dray", "page"]
        cap_drop        = ["all"]
        readonly_rootfs = true
        security_opt    = ["no-new-privileges"]
        mount {
          type   = "tmpfs"
          target = "/tmp"
        }
      }

      env {
        DRAY_COORDINATOR_IDENTITY     = "/secrets/coordinator"
        DRAY_COORDINATOR_ALLOWED_KEYS = "/local/allowed-keys"
        DRAY_COORDINATOR_CACHE_DIR    = "/alloc/data/cache"
        DRAY_COORDINATOR_PAGE         = "0.0.0.0:7480"
        DRAY_COORDINATOR_PAGE_TOKEN   = "/secrets/page-token"
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/dray/coordinator\" }}{{ .key }}{{ end }}"
        destination = "secrets/coordinator"
        perms       = "400"
        uid         = 7420
        gid         = 7420
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/dray/coordinator\" }}{{ .page_token }}{{ end }}"
        destination = "secrets/page-token"
        perms       = "400"
        uid         = 7420
        gid         = 7420
      }

      # a changed list is read again by itself
      template {
        data        = "{{ with nomadVar \"nomad/jobs/dray/coordinator\" }}{{ .allowed_keys }}{{ end }}"
        destination = "local/allowed-keys"
        change_mode = "noop"
      }

      resources {
        cpu        = 500
        memory     = 256
        memory_max = 2048
      }
    }
  }

  group "worker" {
    count = 1

    # as many as the queue needs: nomad-autoscaler, with a Prometheus that scrapes the coordinator
    scaling {
      enabled = true
      min     = 1
      max     = var.workers_max
      policy {
        cooldown            = "2m"
        evaluation_interval = "15s"
        check "queue" {
          source = "prometheus"
          query  = "max(dray_queue_seconds)"
          strategy "target-value" {
            target = 20
          }
        }
      }
    }

    # one at a time, each drained: no build fails
    update {
      max_parallel     = 1
      min_healthy_time = "10s"
      healthy_deadline = "15m"
      progress_deadline = "1h"
    }

    network {
      port "dray" {
        to = 7421
      }
    }

    volume "toolchains" {
      type      = "host"
      source    = var.toolchains
      read_only = true
    }

    ephemeral_disk {
      size   = 40960
      sticky = true
    }

    service {
      name     = "dray-worker"
      provider = "nomad"
      port     = "dray"
      check {
        type     = "tcp"
        interval = "10s"
        timeout  = "2s"
      }
    }

    task "worker" {
      driver = "docker"
      # It drains; longer than job_time_s. The client's max_kill_timeout has to allow it.
      kill_signal  = "SIGTERM"
      kill_timeout = "35m"

      # A job's sandbox is made of user namespaces, and has a /proc of its own, which a /proc that is covered forbids.
      config {
        image        = "${var.registry}/dray-worker:${var.image_tag}"
        ports        = ["dray"]
        cap_drop     = ["all"]
        cap_add      = ["chown", "dac_override", "fowner", "setgid", "setuid", "sys_admin", "sys_ptrace"]
        security_opt = ["no-new-privileges", "seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"]
      }

      volume_mount {
        volume      = "toolchains"
        destination = "/toolchains"
        read_only   = true
      }

      env {
        DRAY_WORKER_IDENTITY        = "/secrets/worker"
        DRAY_WORKER_COORDINATOR_KEY = "/local/coordinator.pub"
        DRAY_WORKER_ADVERTISE       = "tcp://${NOMAD_HOST_ADDR_dray}"
        DRAY_WORKER_STATE_DIR       = "/alloc/data/worker"
        DRAY_WORKER_SLOTS           = "4"
        DRAY_WORKER_CORES           = "4"
      }

      template {
        data        = "{{ range nomadService \"dray-coordinator\" }}DRAY_WORKER_COORDINATOR=tcp://{{ .Address }}:{{ .Port }}\n{{ end }}"
        destination = "local/coordinator.env"
        env         = true
        change_mode = "restart"
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/dray/coordinator\" }}{{ .pub }}{{ end }}"
        destination = "local/coordinator.pub"
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/dray/worker\" }}{{ index . (printf \"key%s\" (env \"NOMAD_ALLOC_INDEX\")) }}{{ end }}"
        destination = "secrets/worker"
        perms       = "400"
      }

      resources {
        cores      = 4
        memory     = 8192
        memory_max = 16384
      }
    }
  }
}
