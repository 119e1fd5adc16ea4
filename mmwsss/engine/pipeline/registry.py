"""The registry of stages."""

from mmengine.registry import Registry

# add one with custom_imports in the pipeline's config
STAGES = Registry('stage', scope='mmseg', locations=['mmwsss.engine.pipeline.stages'])
