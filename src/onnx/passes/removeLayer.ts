import { expected } from '../../errors';
import { layersOf, type FoundLayers } from '../layers/find';
import type { LayerEdit, RemovableLayer } from '../layers/types';
import type { Model } from '../ir';
import { attachHead, requireHead, type NewHead } from './attachHead';
import { cutSlots } from './cutChannels';
import { removeNewlyDead } from './removeNewlyDead';
import { replaceTensor, withoutRepeats } from './replaceTensor';

export interface RemovalOptions {
  /** The linear layer behind what is left of the network. Only for a tail; needed where the old head does not fit. */
  readonly head?: NewHead;
}

/**
 * The model without a layer that `findRemovableLayers` found, and without the nodes and constants that only it needed.
 * It computes what `bypassLayer` computes.
 *
 * Several layers can be removed one after the other, each by the id it had in the original: the layer is looked up in the
 * graph as it is now. The order does not matter; a layer that went with another one is refused.
 *
 * @throws ERR_OPTION where the graph has no such layer (any more), or a head is missing or not wanted
 */
export function removeLayer(model: Model, { id }: Pick<RemovableLayer, 'id'>, options: RemovalOptions = {}): Model {
  const { edit, layer, found } = lookUp(model, id, options);
  switch (edit.kind) {
    case 'replace': {
      const replaced = withoutRepeats(model.graph, replaceTensor(model.graph, edit.tensor, edit.by), edit);
      return { ...model, graph: removeNewlyDead(model.graph, replaced) };
    }
    case 'channels':
      return cutSlots(model, found.channels, edit.removed);
    case 'tail': {
      const graph =
        options.head === undefined
          ? replaceTensor(model.graph, edit.headInput, edit.tensor)
          : attachHead(model.graph, edit.tensor, edit.logits, requireHead(options.head, layer));
      return { ...model, graph: removeNewlyDead(model.graph, graph) };
    }
  }
}

export interface LookedUp {
  readonly edit: LayerEdit;
  readonly layer: RemovableLayer;
  readonly found: FoundLayers;
}

export function lookUp(model: Model, id: string, { head }: RemovalOptions): LookedUp {
  const found = layersOf(model);
  const layer = found.layers.find((candidate) => candidate.id === id);
  const edit = found.edits.get(id);
  if (layer === undefined || edit === undefined) {
    const reason = found.notRemovable.find(({ name }) => isNamedBy(id, name))?.reason;
    throw expected('ERR_OPTION', 'a layer that can be removed', 'the graph as it is now', id, {
      remedy:
        reason === undefined
          ? 'Take an id that findRemovableLayers gives for this graph: it may have gone with a layer removed before.'
          : `Leave it: ${reason}.`,
    });
  }
  if (head !== undefined && edit.kind !== 'tail')
    throw expected('ERR_OPTION', 'a head only where a tail is removed', `"${id}"`, 'a head');
  if (head === undefined && layer.head?.fits === false)
    throw expected('ERR_OPTION', 'a new head', `"${id}"`, undefined, {
      remedy: `Give a linear layer from ${layer.head.inputs} channels to ${layer.head.outputs} classes: the old head does not fit.`,
    });
  return { edit, layer, found };
}

/** `<kind>:<name>`, or that with a detail behind it. */
function isNamedBy(id: string, name: string): boolean {
  const rest = id.slice(id.indexOf(':') + 1);
  return rest === name || ['#', '..', '+'].some((detail) => rest.startsWith(`${name}${detail}`));
}
