#!/bin/bash
# Trains on four machines with two ranks each, one for a socket: sbatch examples/slurm.sh. Sent a signal 120 seconds
# before its time is up, the run saves and stops; submitted again, it goes on.
#SBATCH --job-name=gan
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=32
#SBATCH --time=02:00:00
#SBATCH --signal=TERM@120
set -euo pipefail

out=runs/photos
resume=()
[[ ! -e $out/config.toml ]] || resume=(--resume)
srun --mpi=pmix --cpu-bind=sockets --cpus-per-task="$SLURM_CPUS_PER_TASK" \
  gan train "${resume[@]}" --data photos/ --size 64x64 --out "$out" --epochs 200 --batch 1024 --threads "$SLURM_CPUS_PER_TASK"
